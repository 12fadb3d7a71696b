/*
 * value_time.c
 *		Texts and numbers to dates and times.
 *
 * The ISO spelling is read by hand (iso_time.c), every other text by the type's
 * input function.  Two things are refused that core would take: texts whose
 * meaning depends on the clock ('today'), because the same record must give the
 * same row on every reading; and bare numbers for columns that do not say in which
 * unit they count.  A text without zone is in the session's, as in core; whoever
 * decodes pins it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "format/iso_time.h"
#include "format/number.h"
#include "format/refusal.h"
#include "format/value_time.h"

#define UNIX_EPOCH_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* Any date/time type by its input function, unless the clock had a say. */
bool
datetime_by_input(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	if (!text_by_input(reader, text, len, value, refusal))
		return false;
	if (!mentions_clock(text, len) &&
		(reader->base != TIMETZOID || names_offset(text, len)))
		return true;
	return refuse_record(refusal, ERRCODE_INVALID_DATETIME_FORMAT, reader->column,
						 "value of type %s depends on the clock: \"%s\"",
						 format_type_be(reader->base), excerpt(text, len));
}

/* Seconds west of Greenwich of the session's zone at a local time. */
static int
session_offset(const IsoTime *iso)
{
	struct pg_tm tm;
	long		east;
	int			minutes = iso->time / USECS_PER_MINUTE;

	if (pg_get_timezone_offset(session_timezone, &east))
		return -(int) east;
	memset(&tm, 0, sizeof(tm));
	tm.tm_year = iso->year;
	tm.tm_mon = iso->month;
	tm.tm_mday = iso->day;
	tm.tm_hour = minutes / 60;
	tm.tm_min = minutes % 60;
	tm.tm_sec = iso->time / USECS_PER_SEC % 60;
	return DetermineTimeZoneOffset(&tm, session_timezone);
}

/* Microseconds since 2000-01-01 of a local time. */
static inline Timestamp
local_timestamp(const IsoTime *iso)
{
	return (Timestamp) iso_time_days(iso) * USECS_PER_DAY + iso->time;
}

/* Whether the column's precision holds all digits, so that nothing is rounded. */
static inline bool
precision_holds(const ValueReader *reader, const IsoTime *iso)
{
	return reader->typmod < 0 || iso->fraction_digits <= reader->typmod;
}

/* The number of a column with a unit may also come as a string. */
static bool
is_unit_number(const ValueReader *reader, const char *text, size_t len)
{
	Decimal		decimal;

	return unlikely(reader->unit != UNIT_NONE) && decimal_parse(text, len, &decimal);
}

bool
text_to_timestamptz(ValueReader *reader, const char *text, size_t len,
					Datum *value, Refusal *refusal)
{
	IsoTime		iso;
	int			west;

	if (is_unit_number(reader, text, len))
		return reader->from_number(reader, text, len, value, refusal);
	if (!iso_time_parse(text, len, &iso) || !precision_holds(reader, &iso))
		return datetime_by_input(reader, text, len, value, refusal);
	west = iso.has_zone ? -iso.zone : session_offset(&iso);
	*value = TimestampTzGetDatum(local_timestamp(&iso) + west * USECS_PER_SEC);
	return true;
}

/* A zone in the text is read and ignored, as timestamp_in does. */
bool
text_to_timestamp(ValueReader *reader, const char *text, size_t len,
				  Datum *value, Refusal *refusal)
{
	IsoTime		iso;

	if (is_unit_number(reader, text, len))
		return reader->from_number(reader, text, len, value, refusal);
	if (!iso_time_parse(text, len, &iso) || !precision_holds(reader, &iso))
		return datetime_by_input(reader, text, len, value, refusal);
	*value = TimestampGetDatum(local_timestamp(&iso));
	return true;
}

/* A time in the text is read and ignored, as date_in does. */
bool
text_to_date(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	IsoTime		iso;

	if (is_unit_number(reader, text, len))
		return reader->from_number(reader, text, len, value, refusal);
	if (!iso_time_parse(text, len, &iso))
		return datetime_by_input(reader, text, len, value, refusal);
	*value = DateADTGetDatum(iso_time_days(&iso));
	return true;
}

/* Microseconds since 1970 from a number in the column's unit. */
static bool
number_to_micros(ValueReader *reader, const char *text, size_t len, int64 *micros)
{
	static const int places[] = {
		[UNIT_SECONDS] = 6, [UNIT_MILLISECONDS] = 3, [UNIT_MICROSECONDS] = 0
	};
	Decimal		decimal;
	int64_t		result;

	if (!decimal_parse(text, len, &decimal))
	{
		/* an exponent, or many digits: the form without may fit */
		Datum		number = DirectFunctionCall3(numeric_in, CStringGetDatum(pnstrdup(text, len)),
												 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		char	   *plain;

		number = DirectFunctionCall2(numeric_round, number, Int32GetDatum(places[reader->unit]));
		plain = DatumGetCString(DirectFunctionCall1(numeric_out, number));
		if (!decimal_parse(plain, strlen(plain), &decimal))
			return false;
	}
	if (!decimal_rescale(&decimal, places[reader->unit], &result))
		return false;
	*micros = result;
	return true;
}

/* Rounds to the column's precision, half away from zero, as core does. */
static Timestamp
round_to_precision(Timestamp micros, int32 typmod)
{
	int64		step = 1;

	if (typmod < 0 || typmod >= MAX_TIMESTAMP_PRECISION)
		return micros;
	for (int i = typmod; i < MAX_TIMESTAMP_PRECISION; i++)
		step *= 10;
	return micros >= 0 ? (micros + step / 2) / step * step
		: -((-micros + step / 2) / step * step);
}

/* Midnight at or before an instant, as days. */
static DateADT
timestamp_day(Timestamp micros)
{
	return micros / USECS_PER_DAY - (micros % USECS_PER_DAY < 0);
}

/* A bare number for a date/time column: an instant in the unit the column names. */
bool
number_to_datetime(ValueReader *reader, const char *text, size_t len,
				   Datum *value, Refusal *refusal)
{
	int64		micros;
	Timestamp	timestamp;

	if (reader->unit == UNIT_NONE)
		return refuse_with_detail(refusal, ERRCODE_INVALID_DATETIME_FORMAT, reader->column,
								  psprintf("number for column \"%s\" of type %s has no unit",
										   reader->column, format_type_be(reader->type)),
								  pstrdup("Column option unit says whether numbers are seconds, milliseconds or microseconds."));
	if (!number_to_micros(reader, text, len, &micros) ||
		pg_sub_s64_overflow(micros, UNIX_EPOCH_DAYS * USECS_PER_DAY, &timestamp) ||
		!IS_VALID_TIMESTAMP(timestamp))
		return refuse_record(refusal, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, reader->column,
							 "timestamp out of range: \"%s\"", excerpt(text, len));
	if (reader->base == DATEOID)
		*value = DateADTGetDatum(timestamp_day(timestamp));
	else
		*value = TimestampGetDatum(round_to_precision(timestamp, reader->typmod));
	return true;
}

/* A number for a time of day: no unit gives it a meaning. */
bool
number_to_time(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	return refuse_record(refusal, ERRCODE_INVALID_DATETIME_FORMAT, reader->column,
						 "column \"%s\" of type %s cannot be read from a number",
						 reader->column, format_type_be(reader->type));
}
