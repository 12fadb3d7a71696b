/*
 * value_json.c
 *		JSON texts to json and jsonb.
 *
 * The text comes from a record and only its outline was looked at.  So first the
 * caps and escapes (json_scan), then the grammar by the server's own parser, which
 * returns what is wrong as a value; jsonb's input function is called on texts that
 * have passed both, and can fail only by sheer size.  A json column is checked as
 * strictly as a jsonb one: a text that ->> chokes on later is refused here.
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

/* Refuses a text that is not JSON, in core's words. */
bool
json_check(const char *text, size_t len, const char *column, Refusal *refusal)
{
	JsonLimits	limits = value_limits();
	JsonFault	fault = json_scan(text, len, &limits);
	JsonLexContext *lex;
	JsonParseErrorType error;

	if (fault != JSON_FINE)
		return refuse_fault(refusal, column, fault);
	lex = makeJsonLexContextCstringLen(NULL, (char *) text, len, GetDatabaseEncoding(), true);
	error = pg_parse_json(lex, &nullSemAction);
	if (error == JSON_SUCCESS)
		return true;
	return refuse_with_detail(refusal, ERRCODE_INVALID_TEXT_REPRESENTATION, column,
						 pstrdup("invalid input syntax for type json"),
						 excerpt(json_errdetail(error, lex), strlen(json_errdetail(error, lex))));
}

/* A JSON text to json, jsonb, or a domain over one. */
bool
json_from_text(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	if (!json_check(text, len, reader->column, refusal))
		return false;
	if (reader->base == JSONOID)
	{
		*value = PointerGetDatum(cstring_to_text_with_len(text, len));
		return true;
	}
	return text_by_input(reader, text, len, value, refusal);
}
