/*
 * drain.c
 *		The bare cost of getting records out of Kafka: the client as deltaflow sets
 *		it, and nothing done with the records.
 *
 *	drain BOOTSTRAP TOPIC [POLL_SIZE [NAME=VALUE]...]
 *	drain BOOTSTRAP TOPIC --age SECONDS
 *
 * Reads all partitions from their beginning to the end seen at the start, through
 * assign() and batch polls like src/kafka/consumer.c, and prints one line:
 * records, bytes, seconds, processor seconds of all threads per million records,
 * largest resident memory.  Further arguments override librdkafka options.
 *
 * --age reads what arrives from now on, and tells how old the newest record read
 * was, sampled every 5 ms: what producer and broker leave of a record's freshness.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "kafka/settings.h"

#define MAX_POLL	100000
#define SAMPLE_MS	5

typedef struct Drain
{
	rd_kafka_t *handle;
	rd_kafka_queue_t *queue;
	rd_kafka_topic_partition_list_t *ends;	/* where to stop; offset is done when reached */
	int			wakeup;
	size_t		poll_size;
	long		records;
	long		bytes;
	long		waits;
	unsigned	sum;			/* one byte of each value, so that it is looked at */
	int64_t		newest;			/* timestamp of a record, ms */
} Drain;

/* Tells what went wrong and ends. */
static void
die(const char *what, const char *why)
{
	fprintf(stderr, "drain: %s: %s\n", what, why);
	exit(1);
}

/* Seconds of a clock. */
static double
seconds_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Sets an option or ends. */
static void
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		text[256];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		die(name, text);
}

/* A consumer with deltaflow's settings and the caller's. */
static rd_kafka_t *
open_consumer(const char *bootstrap, char **options, int noptions)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *handle;
	char		text[256];
	int			version = rd_kafka_version();

	set(conf, "bootstrap.servers", bootstrap);
	for (int i = 0; i < N_CLIENT_SETTINGS; i++)
	{
		const ClientSetting *setting = &client_settings[i];

		if ((setting->scope & SET_CONSUMER) != 0 && version >= setting->since &&
			(setting->before == 0 || version < setting->before))
			set(conf, setting->name, setting->value);
	}
	set(conf, "log.queue", "false");
	for (int i = 0; i < noptions; i++)
	{
		char	   *equals = strchr(options[i], '=');

		if (equals == NULL)
			die(options[i], "not NAME=VALUE");
		*equals = '\0';
		set(conf, options[i], equals + 1);
	}
	handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	if (handle == NULL)
		die("could not create a consumer", text);
	return handle;
}

/* The topic's partitions with one offset each. */
static rd_kafka_topic_partition_list_t *
offsets_of(rd_kafka_t *handle, const char *topic, int64_t which)
{
	rd_kafka_topic_t *topic_handle = rd_kafka_topic_new(handle, topic, NULL);
	const struct rd_kafka_metadata *metadata;
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err = rd_kafka_metadata(handle, 0, topic_handle, &metadata, 10000);

	if (err || metadata->topics[0].partition_cnt == 0)
		die("could not find the topic", rd_kafka_err2str(err));
	list = rd_kafka_topic_partition_list_new(metadata->topics[0].partition_cnt);
	for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = which;
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(topic_handle);
	err = rd_kafka_offsets_for_times(handle, list, 10000);
	if (err)
		die("could not find offsets", rd_kafka_err2str(err));
	return list;
}

/* Notes how far a partition is read; returns 1 when that was its end. */
static int
reached(Drain *drain, int32_t partition, int64_t next)
{
	rd_kafka_topic_partition_t *end = &drain->ends->elems[partition];

	if (end->offset < 0 || next < end->offset)
		return 0;
	end->offset = -1;
	return 1;
}

/* Takes what is there, or waits for it; returns how many partitions came to their end. */
static int
take(Drain *drain, rd_kafka_message_t **messages, int patience_ms)
{
	ssize_t		n = rd_kafka_consume_batch_queue(drain->queue, 0, messages, drain->poll_size);
	int			done = 0;

	for (ssize_t i = 0; i < n; i++)
	{
		rd_kafka_message_t *message = messages[i];
		int64_t		newest;

		if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			done += reached(drain, message->partition, message->offset);
		else if (message->err)
			die("could not read", rd_kafka_message_errstr(message));
		else
		{
			drain->records++;
			drain->bytes += message->len;
			newest = rd_kafka_message_timestamp(message, NULL);
			if (newest > drain->newest)
				drain->newest = newest;
			if (message->len > 0)
				drain->sum += ((unsigned char *) message->payload)[message->len / 2];
			done += reached(drain, message->partition, message->offset + 1);
		}
		rd_kafka_message_destroy(message);
	}
	if (n <= 0)
	{
		struct pollfd fd = {.fd = drain->wakeup,.events = POLLIN};
		uint64_t	count;

		drain->waits++;
		if (poll(&fd, 1, patience_ms) > 0 && read(drain->wakeup, &count, sizeof(count)) < 0)
			die("could not read the event descriptor", "");
	}
	return done;
}

static int
compare_ages(const void *a, const void *b)
{
	return (*(const int *) a > *(const int *) b) - (*(const int *) a < *(const int *) b);
}

/* Reads for some seconds; tells the age of the newest record over that time. */
static void
watch_age(Drain *drain, rd_kafka_message_t **messages, int seconds)
{
	double		end = seconds_of(CLOCK_MONOTONIC) + seconds;
	double		next = 0;
	int			most = seconds * 1000 / SAMPLE_MS + 1;
	int		   *ages = malloc(most * sizeof(int));
	int			n = 0;

	for (;;)
	{
		double		now = seconds_of(CLOCK_MONOTONIC);

		if (now > end)
			break;
		take(drain, messages, SAMPLE_MS);
		if (now < next || drain->newest == 0 || n == most)
			continue;
		ages[n++] = (int) (seconds_of(CLOCK_REALTIME) * 1000 - drain->newest);
		next = now + SAMPLE_MS / 1000.0;
	}
	if (n == 0)
		die("no record arrived", "");
	qsort(ages, n, sizeof(int), compare_ages);
	printf("p50 %d ms, p99 %d ms\n", ages[n / 2], ages[n * 99 / 100]);
	fflush(stdout);
	_exit(0);
}

int
main(int argc, char **argv)
{
	static const uint64_t one = 1;
	static rd_kafka_message_t *messages[MAX_POLL];
	rd_kafka_topic_partition_list_t *starts;
	Drain		drain = {.poll_size = 1000};
	struct rusage usage;
	double		wall;
	double		cpu;
	int			left = 0;
	int			age_seconds = 0;

	if (argc < 3)
		die("usage", "drain BOOTSTRAP TOPIC [POLL_SIZE [NAME=VALUE]... | --age SECONDS]");
	if (argc == 5 && strcmp(argv[3], "--age") == 0)
	{
		age_seconds = atoi(argv[4]);
		argc = 3;
	}
	if (argc > 3)
		drain.poll_size = atoi(argv[3]);
	if (drain.poll_size < 1 || drain.poll_size > MAX_POLL)
		die(argv[3], "not a poll size");
	drain.handle = open_consumer(argv[1], argv + 4, argc > 4 ? argc - 4 : 0);
	rd_kafka_poll_set_consumer(drain.handle);
	drain.wakeup = eventfd(0, EFD_NONBLOCK);
	drain.queue = rd_kafka_queue_get_consumer(drain.handle);
	rd_kafka_queue_io_event_enable(drain.queue, drain.wakeup, &one, sizeof(one));
	drain.ends = offsets_of(drain.handle, argv[2], RD_KAFKA_OFFSET_END);
	if (age_seconds > 0)
	{
		if (rd_kafka_assign(drain.handle, drain.ends))
			die("could not assign", "");
		watch_age(&drain, messages, age_seconds);
	}
	starts = offsets_of(drain.handle, argv[2], RD_KAFKA_OFFSET_BEGINNING);
	for (int i = 0; i < starts->cnt; i++)
		left += starts->elems[i].offset < drain.ends->elems[i].offset;

	wall = seconds_of(CLOCK_MONOTONIC);
	cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	if (rd_kafka_assign(drain.handle, starts))
		die("could not assign", "");
	while (left > 0)
		left -= take(&drain, messages, 1000);
	wall = seconds_of(CLOCK_MONOTONIC) - wall;
	cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	getrusage(RUSAGE_SELF, &usage);
	printf("records=%ld bytes=%ld wall_s=%.3f cpu_s_per_million=%.3f rss_mb=%ld waits=%ld sum=%u\n",
		   drain.records, drain.bytes, wall, cpu / drain.records * 1e6, usage.ru_maxrss / 1024,
		   drain.waits, drain.sum % 256);
	fflush(stdout);

	rd_kafka_topic_partition_list_destroy(starts);
	rd_kafka_topic_partition_list_destroy(drain.ends);
	rd_kafka_queue_destroy(drain.queue);
	rd_kafka_destroy_flags(drain.handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return 0;
}
