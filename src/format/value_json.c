/*
 * value_json.c
 *		JSON texts to json and jsonb.
 *
 * The text comes from a record and only its outline was looked at.  So first the
 * caps and escapes (json_scan); then the grammar, for json by the server's parser
 * alone, which returns what is wrong as a value, for jsonb by its input function.
 * A json column is checked as strictly as a jsonb one: a text that ->> chokes on
 * later is refused here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "compat.h"
#include "format/json_check.h"
#include "format/refusal.h"
#include "format/soft_call.h"
#include "format/value.h"

/* Refuses what is too deep or too large, and escapes that are no text. */
static bool
check_limits(const char *text, size_t len, const char *column, Refusal *refusal)
{
	JsonLimits	limits = value_limits();
	JsonFault	fault = json_scan(text, len, &limits);

	return fault == JSON_FINE || refuse_fault(refusal, column, fault);
}

/* Refuses a text that is not JSON, in core's words. */
bool
json_check(const char *text, size_t len, const char *column, Refusal *refusal)
{
	JsonLexContext *lex;
	JsonParseErrorType error;

	if (!check_limits(text, len, column, refusal))
		return false;
	lex = makeJsonLexContextCstringLen(NULL, (char *) text, len, GetDatabaseEncoding(), true);
	error = pg_parse_json(lex, &nullSemAction);
	if (error == JSON_SUCCESS)
		return true;
	return refuse_with_detail(refusal, ERRCODE_INVALID_TEXT_REPRESENTATION, column,
							  pstrdup("invalid input syntax for type json"),
							  excerpt(json_errdetail(error, lex), strlen(json_errdetail(error, lex))));
}

/* A JSON text to json or jsonb. */
static bool
json_by_parser(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	if (reader->base == JSONBOID)
		return check_limits(text, len, reader->column, refusal) &&
			text_by_input(reader, text, len, value, refusal);
	if (!json_check(text, len, reader->column, refusal))
		return false;
	*value = PointerGetDatum(cstring_to_text_with_len(text, len));
	return true;
}

/* The same, without what it leaves behind. */
bool
json_from_text(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	return text_in_scratch(reader, json_by_parser, text, len, value, refusal);
}
