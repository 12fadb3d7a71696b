/*
 * value_text.c
 *		Fast functions of the types that streams are made of.
 *
 * Each takes the plain spelling by hand and gives every other text to the type's
 * input function, which also words every error.  What is done by hand must give
 * the very bytes of the input function; test/modules/format_test compares them.
 *
 * Dates and times have a file of their own (value_time.c); the table of all types
 * is at the end of this one.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "compat.h"
#include "format/number.h"
#include "format/refusal.h"
#include "format/value.h"
#include "format/value_time.h"

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

/* Whether the clock may have a say in texts of this type, its elements', its range's or its domain's. */
bool
type_is_datetime(Oid type)
{
	Oid			element = get_element_type(type);
	const TypeFunctions *functions = find_functions(type);

	if (!OidIsValid(element))
		element = get_range_subtype(type);
	if (!OidIsValid(element))
		element = get_multirange_range(type);
	if (functions == NULL && OidIsValid(element))
		return type_is_datetime(getBaseType(element));
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
