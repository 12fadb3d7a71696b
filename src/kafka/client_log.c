/*
 * client_log.c
 *		Lines of the library's log on their way to the server's.
 *
 * The library says the same thing as often as it happens, which may be with every
 * request.  Two gates keep the server's log readable: a line is repeated after five
 * minutes at the earliest, whichever client of the process it comes from, and a client
 * gets at most ten lines through in ten seconds.  What was held back is counted.
 *
 * Main thread only; texts come without secrets (client.c).
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "kafka/client.h"

/* At most so many lines of the library per window reach the server's log. */
#define LOG_LINES_PER_WINDOW	10
#define LOG_WINDOW_MS			10000

/* The same line, from whichever client of the process, is repeated after so long. */
#define LOG_REPEAT_MS			(5 * 60 * 1000)
#define LOG_REMEMBERED			32

/* Whether one more line may go to the server's log now. */
static bool
may_log(KafkaClient *client)
{
	TimestampTz now = GetCurrentTimestamp();

	if (client->log_window == 0 ||
		TimestampDifferenceExceeds(client->log_window, now, LOG_WINDOW_MS))
	{
		int			suppressed = client->log_suppressed;

		client->log_window = now;
		client->log_lines = 0;
		client->log_suppressed = 0;
		if (suppressed > 0)
			ereport(LOG,
					(errmsg("Kafka client for topic \"%s\": %d messages were suppressed",
							client->topic, suppressed),
					 errhidestmt(true)));
	}
	if (client->log_lines >= LOG_LINES_PER_WINDOW)
	{
		client->log_suppressed++;
		return false;
	}
	client->log_lines++;
	return true;
}

/* A line that was let through, without what differs each time. */
typedef struct LoggedLine
{
	uint32		hash;			/* 0: none */
	TimestampTz at;
	int			repeated;		/* since then, held back */
} LoggedLine;

/* What a line says: without the thread in front and the counts of "(after 3ms in state ...)". */
static uint32
line_hash(const char *line)
{
	const char *end = strstr(line, " (after ");
	const char *text = strncmp(line, "[thrd:", 6) == 0 ? strstr(line, "]: ") : NULL;
	uint32		hash;

	if (text == NULL)
		text = line;
	hash = DatumGetUInt32(hash_any((const unsigned char *) text, end != NULL && end > text ? end - text : strlen(text)));
	return hash != 0 ? hash : 1;
}

/* The entry of a line, or the one that has not been used for the longest time. */
static LoggedLine *
remembered_line(uint32 hash)
{
	static LoggedLine lines[LOG_REMEMBERED];
	LoggedLine *oldest = &lines[0];

	for (int i = 0; i < LOG_REMEMBERED; i++)
	{
		if (lines[i].hash == hash)
			return &lines[i];
		if (lines[i].at < oldest->at)
			oldest = &lines[i];
	}
	memset(oldest, 0, sizeof(*oldest));
	return oldest;
}

/* Whether the line was logged lately; *repeated is how often it was held back before. */
static bool
is_repetition(const char *line, int *repeated)
{
	uint32		hash = line_hash(line);
	LoggedLine *known = remembered_line(hash);
	TimestampTz now = GetCurrentTimestamp();

	*repeated = known->repeated;
	if (known->hash != 0 && !TimestampDifferenceExceeds(known->at, now, LOG_REPEAT_MS))
	{
		known->repeated++;
		return true;
	}
	*known = (LoggedLine) {hash, now, 0};
	return false;
}

void
client_log(KafkaClient *client, const char *text)
{
	int			repeated;

	if (is_repetition(text, &repeated) || !may_log(client))
		return;
	if (repeated > 0)
		ereport(LOG,
				(errmsg("Kafka client for topic \"%s\": %s", client->topic, text),
				 errdetail("The client said so %d more times since this line was logged last.", repeated),
				 errhidestmt(true)));
	else
		ereport(LOG,
				(errmsg("Kafka client for topic \"%s\": %s", client->topic, text),
				 errhidestmt(true)));
}
