/*
 * option_value.c
 *		Texts of options to values.
 *
 * In goes the text of one option, out comes a value or "this is not one": the
 * caller knows which option of which object it was and writes the message.
 * Spans and times are read by the server's own decoders, so that every spelling
 * that works in an interval or timestamptz literal works here.
 *
 * Memory: results are palloc'd in CurrentMemoryContext.  No locks, no state.
 */
#include "postgres.h"

#include "common/int.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/option_value.h"

/* An interval's fields, or false. */
static bool
decode_interval(const char *text, struct pg_itm_in *fields)
{
	char		work[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nfields;
	int			dtype = DTK_DELTA;
	int			error;

	memset(fields, 0, sizeof(*fields));
	error = ParseDateTime(text, work, sizeof(work), field, ftype, MAXDATEFIELDS, &nfields);
	if (error == 0)
		error = DecodeInterval(field, ftype, nfields, INTERVAL_FULL_RANGE, &dtype, fields);
	if (error == DTERR_BAD_FORMAT)
	{
		char	   *copy = pstrdup(text);

		error = DecodeISO8601Interval(copy, &dtype, fields);
		pfree(copy);
	}
	return error == 0 && dtype == DTK_DELTA;
}

bool
parse_span(const char *text, int64 *microseconds)
{
	struct pg_itm_in fields;
	int64		days;

	if (!decode_interval(text, &fields) || fields.tm_year != 0 || fields.tm_mon != 0)
		return false;
	if (pg_mul_s64_overflow(fields.tm_mday, USECS_PER_DAY, &days) ||
		pg_add_s64_overflow(days, fields.tm_usec, microseconds))
		return false;
	return *microseconds >= 0;
}

/* Words that mean another time on another day; the decoder has lowered them. */
static bool
moves_with_the_clock(const char *word)
{
	return strcmp(word, "now") == 0 || strcmp(word, "today") == 0 ||
		strcmp(word, "tomorrow") == 0 || strcmp(word, "yesterday") == 0;
}

/* A timestamptz from text, or false; times relative to now are none. */
static bool
decode_time(const char *text, TimestampTz *time)
{
	char		work[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nfields;
	int			dtype;
	int			zone = 0;
	struct pg_tm tm;
	fsec_t		fsec;
	DateTimeErrorExtra extra;

	if (ParseDateTime(text, work, sizeof(work), field, ftype, MAXDATEFIELDS, &nfields) != 0)
		return false;
	for (int i = 0; i < nfields; i++)
		if (ftype[i] == DTK_STRING && moves_with_the_clock(field[i]))
			return false;
	if (DecodeDateTime(field, ftype, nfields, &dtype, &tm, &fsec, &zone, &extra) != 0 || dtype != DTK_DATE)
		return false;
	return tm2timestamp(&tm, fsec, &zone, time) == 0;
}

bool
parse_time(const char *text, TimestampTz *time, bool *has_zone)
{
	char	   *zoned;
	TimestampTz ignored;

	if (!decode_time(text, time))
		return false;
	/* a second zone is refused by the decoder: so a text that takes one had none */
	zoned = psprintf("%s UTC", text);
	*has_zone = !decode_time(zoned, &ignored);
	pfree(zoned);
	return true;
}

bool
parse_field(const char *text, int *path_len, char ***path)
{
	char	  **names = palloc((strlen(text) + 1) * sizeof(char *));
	char	   *name = palloc(strlen(text) + 1);
	int			n = 0;

	names[n] = name;
	for (const char *c = text;; c++)
	{
		if (*c == '\\' && c[1] != '\0')
			*name++ = *++c;
		else if (*c != '.' && *c != '\0')
			*name++ = *c;
		else
		{
			if (name == names[n])
				return false;	/* an empty name */
			*name++ = '\0';
			n++;
			if (*c == '\0')
				break;
			names[n] = name;
		}
	}
	*path_len = n;
	*path = names;
	return true;
}

bool
parse_offset(const char *text, int64 *offset)
{
	char	   *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*offset = strtoi64(text, &end, 10);
	return errno == 0 && *end == '\0';
}
