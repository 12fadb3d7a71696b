/*
 * value_text.c
 *		Fast functions of the types that streams are made of.
 *
 * Each takes the plain spelling by hand and gives every other text to the type's
 * input function, which also words every error.  What is done by hand must give
 * the very bytes of the input function; test/modules/format_test compares them.
 *
 * Also here, because they belong to types: the refusal of texts whose meaning
 * depends on the clock, and of bare numbers for dates and times without a unit.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "format/iso_time.h"
#include "format/number.h"
#include "format/refusal.h"
#include "format/value.h"

#define UNIX_EPOCH_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)

/* ---- integers ---- */

static bool
text_to_int8(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	int64_t		number;

	if (unlikely(!int64_parse(text, len, &number)))
		return text_by_input(reader, text, len, value, refusal);
	*value = Int64GetDatum(number);
	return true;
}

static bool
text_to_int4(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	int64_t		number;

	if (unlikely(!int64_parse(text, len, &number) || number < PG_INT32_MIN || number > PG_INT32_MAX))
		return text_by_input(reader, text, len, value, refusal);
	*value = Int32GetDatum((int32) number);
	return true;
}

static bool
text_to_int2(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	int64_t		number;

	if (unlikely(!int64_parse(text, len, &number) || number < PG_INT16_MIN || number > PG_INT16_MAX))
		return text_by_input(reader, text, len, value, refusal);
	*value = Int16GetDatum((int16) number);
	return true;
}

/*
 * A JSON number for an integer: 1e2 is the integer 100 as jsonb prints it, 1.0 is
 * refused by the input function as '1.0' is.
 */
static bool
number_to_integer(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	char	   *copy;
	Datum		number;
	char	   *canonical;

	if (memchr(text, 'e', len) == NULL && memchr(text, 'E', len) == NULL)
		return reader->from_text(reader, text, len, value, refusal);
	copy = pnstrdup(text, len);
	number = DirectFunctionCall3(numeric_in, CStringGetDatum(copy),
								 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	canonical = DatumGetCString(DirectFunctionCall1(numeric_out, number));
	return reader->from_text(reader, canonical, strlen(canonical), value, refusal);
}

/* ---- floats ---- */

static bool
text_to_float8(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	Decimal		decimal;
	double		number;

	if (!decimal_parse(text, len, &decimal) || !decimal_to_double(&decimal, &number))
		return text_by_input(reader, text, len, value, refusal);
	*value = Float8GetDatum(number);
	return true;
}

static bool
text_to_float4(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	Decimal		decimal;
	float		number;

	if (!decimal_parse(text, len, &decimal) || !decimal_to_float(&decimal, &number))
		return text_by_input(reader, text, len, value, refusal);
	*value = Float4GetDatum(number);
	return true;
}

/* A JSON number has no minus zero, as a jsonb number has none. */
static bool
number_to_float8(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	if (!text_to_float8(reader, text, len, value, refusal))
		return false;
	if (DatumGetFloat8(*value) == 0)
		*value = Float8GetDatum(0);
	return true;
}

static bool
number_to_float4(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	if (!text_to_float4(reader, text, len, value, refusal))
		return false;
	if (DatumGetFloat4(*value) == 0)
		*value = Float4GetDatum(0);
	return true;
}

/* ---- numeric ---- */

/*
 * What numeric_in would make huge: digits are counted and an exponent is read
 * whatever stands between them, so that no spelling slips through.  A text with
 * other characters is no decimal number, and the input function's to refuse.
 */
static JsonFault
numeric_cost(const char *text, size_t len)
{
	JsonLimits	limits = value_limits();
	int			digits = 0;
	int			exponent = 0;
	bool		behind_e = false;

	for (size_t i = 0; i < len; i++)
	{
		if (isdigit((unsigned char) text[i]))
		{
			if (!behind_e)
				digits++;
			else if (exponent <= limits.exponent)
				exponent = exponent * 10 + (text[i] - '0');
		}
		else if (text[i] == 'e' || text[i] == 'E')
			behind_e = true;
		else if (strchr("+-._ \t\n\v\f\r", text[i]) == NULL)
			return JSON_FINE;
	}
	if (digits > limits.digits)
		return JSON_TOO_MANY_DIGITS;
	return exponent > limits.exponent ? JSON_EXPONENT_TOO_LARGE : JSON_FINE;
}

/* Scale of the result: the text's own, or the column's when that holds all digits. */
static bool
numeric_fits(const Decimal *decimal, int32 typmod, int *scale)
{
	int			precision;

	*scale = decimal->scale;
	if (typmod < (int32) VARHDRSZ)
		return true;
	precision = ((typmod - VARHDRSZ) >> 16) & 0xFFFF;
	*scale = (typmod - VARHDRSZ) & 0x7FF;
	return *scale >= decimal->scale && *scale <= 18 &&
		decimal->integer_digits <= precision - *scale;
}

/* A negative scale has bit 10 set, so it is above 18 and left to the input function. */
static bool
text_to_numeric(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	Decimal		decimal;
	JsonFault	fault;
	int			scale;
	int64_t		digits;

	if (likely(decimal_parse(text, len, &decimal)) &&
		numeric_fits(&decimal, reader->typmod, &scale) &&
		decimal_rescale(&decimal, scale, &digits))
	{
		*value = NumericGetDatum(scale == 0 ? int64_to_numeric(digits)
								 : int64_div_fast_to_numeric(digits, scale));
		return true;
	}
	fault = numeric_cost(text, len);
	if (fault != JSON_FINE)
		return refuse_fault(refusal, reader->column, fault);
	return text_by_input(reader, text, len, value, refusal);
}

/* ---- bool, text, varchar, uuid ---- */

static bool
text_to_bool(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	bool		truth;

	if (unlikely(!parse_bool_with_len(text, len, &truth)))
		return text_by_input(reader, text, len, value, refusal);
	*value = BoolGetDatum(truth);
	return true;
}

static bool
text_to_text(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	*value = PointerGetDatum(cstring_to_text_with_len(text, len));
	return true;
}

/* Not more bytes than characters are allowed: not too long in any encoding. */
static bool
text_to_varchar(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	if (reader->typmod >= (int32) VARHDRSZ && len > (size_t) reader->typmod - VARHDRSZ)
		return text_by_input(reader, text, len, value, refusal);
	*value = PointerGetDatum(cstring_to_text_with_len(text, len));
	return true;
}

/* Value of a hexadecimal digit, -1: none. */
static inline int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 8-4-4-4-12 digits */
static bool
parse_uuid(const char *text, unsigned char *bytes)
{
	for (int i = 0; i < UUID_LEN; i++)
	{
		int			high;
		int			low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		high = hex_value(*text++);
		low = high < 0 ? -1 : hex_value(*text++);
		if (low < 0)
			return false;
		bytes[i] = high << 4 | low;
	}
	return true;
}

static bool
text_to_uuid(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	pg_uuid_t  *uuid;

	if (len != 36)
		return text_by_input(reader, text, len, value, refusal);
	uuid = palloc(sizeof(pg_uuid_t));
	if (!parse_uuid(text, uuid->data))
		return text_by_input(reader, text, len, value, refusal);
	*value = UUIDPGetDatum(uuid);
	return true;
}

/* ---- dates and times ---- */

/* Any date/time type by its input function, unless the clock had a say. */
static bool
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

static bool
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
static bool
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
static bool
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
static bool
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
static bool
number_to_time(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	return refuse_record(refusal, ERRCODE_INVALID_DATETIME_FORMAT, reader->column,
				  "column \"%s\" of type %s cannot be read from a number",
				  reader->column, format_type_be(reader->type));
}

/* ---- enums ---- */

/*
 * enum_in looks the label up in the catalog, so it is not called with one that is
 * not there; that refusal is ours.
 */
static bool
text_to_enum(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	char	   *label = pnstrdup(text, len);

	if (len >= NAMEDATALEN ||
		!SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(reader->base), CStringGetDatum(label)))
		return refuse_record(refusal, ERRCODE_INVALID_TEXT_REPRESENTATION, reader->column,
					  "invalid input value for enum %s: \"%s\"",
					  format_type_be(reader->base), excerpt(text, len));
	return text_by_input(reader, text, len, value, refusal);
}

/* ---- which type has which ---- */

typedef struct TypeFunctions
{
	Oid			type;
	ValueFromText from_text;
	ValueFromText from_number;	/* NULL: by the text jsonb prints */
} TypeFunctions;

static const TypeFunctions type_functions[] = {
	{INT8OID, text_to_int8, number_to_integer},
	{INT4OID, text_to_int4, number_to_integer},
	{INT2OID, text_to_int2, number_to_integer},
	{FLOAT8OID, text_to_float8, number_to_float8},
	{FLOAT4OID, text_to_float4, number_to_float4},
	{NUMERICOID, text_to_numeric, text_to_numeric},
	{BOOLOID, text_to_bool, NULL},
	{TEXTOID, text_to_text, text_to_text},
	{VARCHAROID, text_to_varchar, text_to_varchar},
	{BPCHAROID, text_by_input, text_by_input},
	{UUIDOID, text_to_uuid, NULL},
	{TIMESTAMPTZOID, text_to_timestamptz, number_to_datetime},
	{TIMESTAMPOID, text_to_timestamp, number_to_datetime},
	{DATEOID, text_to_date, number_to_datetime},
	{TIMEOID, datetime_by_input, number_to_time},
	{TIMETZOID, datetime_by_input, number_to_time},
	{TSRANGEOID, datetime_by_input, NULL},
	{TSTZRANGEOID, datetime_by_input, NULL},
	{DATERANGEOID, datetime_by_input, NULL},
	{TSMULTIRANGEOID, datetime_by_input, NULL},
	{TSTZMULTIRANGEOID, datetime_by_input, NULL},
	{DATEMULTIRANGEOID, datetime_by_input, NULL},
	{JSONOID, json_from_text, json_from_text},
	{JSONBOID, json_from_text, json_from_text},
};

/* The type's entry, NULL: it has none. */
static const TypeFunctions *
find_functions(Oid type)
{
	for (int i = 0; i < lengthof(type_functions); i++)
		if (type_functions[i].type == type)
			return &type_functions[i];
	return NULL;
}

/* Whether the clock may have a say in texts of this type, or of its elements. */
bool
type_is_datetime(Oid type)
{
	Oid			element = get_element_type(type);
	const TypeFunctions *functions = find_functions(OidIsValid(element) ? element : type);

	return functions != NULL &&
		(functions->from_text == datetime_by_input || functions->from_number == number_to_datetime);
}

/* Its function for texts, NULL: none but the input function. */
ValueFromText
text_function(Oid type)
{
	const TypeFunctions *functions = find_functions(type);

	if (functions != NULL)
		return functions->from_text;
	if (type_is_enum(type))
		return text_to_enum;
	return type_is_datetime(type) ? datetime_by_input : NULL;
}

/* Its function for JSON numbers, NULL: by the text that jsonb prints. */
ValueFromText
number_function(Oid type)
{
	const TypeFunctions *functions = find_functions(type);

	return functions ? functions->from_number : NULL;
}
