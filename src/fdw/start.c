/*
 * start.c
 *		Where reading of a topic begins.
 *
 * In goes the text a user gave, out comes what it says.  Turning it into offsets
 * is the business of whoever reads: a scan does it each time, an ingest once and
 * for all, because `latest` asked twice would lose what came in between.  Pure.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/timestamp.h"

#include "fdw/option_value.h"
#include "fdw/start.h"

/* Passes blanks. */
static const char *
skip_blanks(const char *c)
{
	return c + strspn(c, " \t\r\n");
}

/* Reads a non-negative integer at *c and passes it. */
static bool
scan_integer(const char **c, int64 max, int64 *value)
{
	char		digits[24];
	size_t		length = strspn(*c, "0123456789");

	if (length == 0 || length >= sizeof(digits))
		return false;
	memcpy(digits, *c, length);
	digits[length] = '\0';
	*c += length;
	return parse_offset(digits, value) && *value <= max;
}

/* Reads `"partition": offset` at *c and passes it. */
static bool
scan_position(const char **c, KafkaPosition *position)
{
	int64		partition;

	if (*(*c)++ != '"' || !scan_integer(c, PG_INT32_MAX, &partition) || *(*c)++ != '"')
		return false;
	*c = skip_blanks(*c);
	if (*(*c)++ != ':')
		return false;
	*c = skip_blanks(*c);
	position->partition = (int32) partition;
	return scan_integer(c, PG_INT64_MAX, &position->offset);
}

/* Whether the last position names a partition that an earlier one named. */
static bool
is_repeated(const Start *start)
{
	int			last = start->npositions - 1;

	for (int i = 0; i < last; i++)
		if (start->positions[i].partition == start->positions[last].partition)
			return true;
	return false;
}

/* '{"0": 1042, "1": 77}': at least one, each partition once. */
static bool
parse_positions(const char *text, Start *start)
{
	const char *c = text + 1;

	start->kind = START_OFFSETS;
	start->npositions = 0;
	start->positions = palloc((strlen(text) / 4 + 1) * sizeof(KafkaPosition));
	for (;;)
	{
		c = skip_blanks(c);
		if (!scan_position(&c, &start->positions[start->npositions++]) || is_repeated(start))
			return false;
		c = skip_blanks(c);
		if (*c == '}')
			return *skip_blanks(c + 1) == '\0';
		if (*c++ != ',')
			return false;
	}
}

bool
start_parse(const char *text, Start *start)
{
	memset(start, 0, sizeof(*start));
	text = skip_blanks(text);
	if (*text == '{')
		return parse_positions(text, start);
	if (pg_strcasecmp(text, "earliest") == 0)
		start->kind = START_EARLIEST;
	else if (pg_strcasecmp(text, "latest") == 0)
		start->kind = START_LATEST;
	else
	{
		start->kind = START_TIME;
		return parse_time(text, &start->time, &start->has_zone);
	}
	return true;
}

int64
kafka_milliseconds(TimestampTz time)
{
	int64		since_1970;

	if (TIMESTAMP_IS_NOBEGIN(time))
		return 0;
	if (TIMESTAMP_IS_NOEND(time) ||
		pg_add_s64_overflow(time, (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY, &since_1970))
		return PG_INT64_MAX;
	return since_1970 <= 0 ? 0 : (since_1970 - 1) / 1000 + 1;
}

TimestampTz
time_from_milliseconds(int64 milliseconds)
{
	TimestampTz time;

	if (pg_mul_s64_overflow(milliseconds, 1000, &time) ||
		pg_sub_s64_overflow(time, (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY, &time))
		return DT_NOEND;
	return time;
}
