/*
 * value.c
 *		Texts and JSON values of one column to Datums.
 *
 * A reader is compiled per column: the type below its domains, the type's own fast
 * function if it has one (value_text.c), its input function for everything else,
 * and the domains' constraints.  Which JSON values a column takes is decided here;
 * it is what jsonb_populate_record takes, with the exceptions of the design:
 *
 *		JSON value		into json, jsonb	array, composite	other types
 *		null, absent	NULL				NULL				NULL
 *		string			the value			its text, to the type's input function
 *		number			the value			refused				its digits, to the input function;
 *															    for dates and times only with a unit
 *		true, false		the value			refused				'true', 'false', to the input function
 *		array, object	the value			element by element	refused
 *
 * Memory: readers live with their decoder; values and refusals in the context
 * current at the call, which the caller resets per row or batch.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "compat.h"
#include "format/number.h"
#include "format/refusal.h"
#include "format/soft_call.h"
#include "format/value.h"

/* The constraints of a column's domains, if there are any. */
static void
compile_domain(ValueReader *reader)
{
	if (reader->type == reader->base || !DomainHasConstraints(reader->type))
		return;
	reader->domain = palloc0(sizeof(DomainConstraintRef));
	InitDomainConstraintRef(reader->type, reader->domain, CurrentMemoryContext, true);
	reader->econtext = CreateStandaloneExprContext();
}

/* A number that has no reading of its own is read as the text jsonb prints for it. */
static bool
number_by_canonical_text(ValueReader *reader, const char *text, size_t len,
						 Datum *value, Refusal *refusal)
{
	char	   *copy = pnstrdup(text, len);
	Datum		number = DirectFunctionCall3(numeric_in, CStringGetDatum(copy),
											 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	char	   *canonical = DatumGetCString(DirectFunctionCall1(numeric_out, number));

	return reader->from_text(reader, canonical, strlen(canonical), value, refusal);
}

/* Compiles how values of a column are read. */
ValueReader *
value_reader_create(const TopicColumn *column)
{
	ValueReader *reader = palloc0(sizeof(ValueReader));
	Oid			function;

	reader->context = CurrentMemoryContext;
	reader->column = pstrdup(column->name);
	reader->type = column->type;
	reader->typmod = column->typmod;
	reader->base = getBaseTypeAndTypmod(column->type, &reader->typmod);
	reader->unit = column->unit;
	getTypeInputInfo(reader->base, &function, &reader->ioparam);
	fmgr_info(function, &reader->input);
	reader->pure = type_input_is_pure(reader->base);
	reader->takes_json = reader->base == JSONOID || reader->base == JSONBOID;
	reader->from_text = text_function(reader->base);
	if (reader->from_text == NULL)
		reader->from_text = text_by_input;
	reader->from_number = number_function(reader->base);
	if (reader->from_number == NULL)
		reader->from_number = number_by_canonical_text;
	container_compile(reader);
	compile_domain(reader);
	if (reader->domain == NULL &&
		(reader->base == INT2OID || reader->base == INT4OID || reader->base == INT8OID))
		reader->integer_size = get_typlen(reader->base);
	return reader;
}

/* The refusal that names a fault inside a JSON value, worded as core's. */
bool
refuse_fault(Refusal *refusal, const char *column, JsonFault fault)
{
	static const struct
	{
		int			sqlstate;
		const char *message;
		const char *detail;
	}			faults[] = {
		[JSON_BAD_ESCAPE] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
			"invalid input syntax for type json", "A string has an invalid escape sequence."},
		[JSON_BAD_HEX] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
			"invalid input syntax for type json", "\"\\u\" must be followed by four hexadecimal digits."},
		[JSON_ZERO_CHARACTER] = {ERRCODE_UNTRANSLATABLE_CHARACTER,
			"unsupported Unicode escape sequence", "\\u0000 cannot be converted to text."},
		[JSON_LONE_HIGH_SURROGATE] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
			"invalid input syntax for type json", "Unicode high surrogate must be followed by a low surrogate."},
		[JSON_LONE_LOW_SURROGATE] = {ERRCODE_INVALID_TEXT_REPRESENTATION,
			"invalid input syntax for type json", "Unicode low surrogate must follow a high surrogate."},
		[JSON_TOO_DEEP] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED,
			"JSON value is nested too deep", "The limit is the setting deltaflow.max_json_depth."},
		[JSON_TOO_MANY_DIGITS] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED,
			"number has too many digits", "The limit is the setting deltaflow.max_number_digits."},
		[JSON_EXPONENT_TOO_LARGE] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED,
			"exponent of number is too large", "The limit is the setting deltaflow.max_number_exponent."},
	};

	return refuse_with_detail(refusal, faults[fault].sqlstate, column,
							  pstrdup(faults[fault].message), pstrdup(faults[fault].detail));
}

/* The type's input function. */
bool
text_by_input(ValueReader *reader, const char *text, size_t len, Datum *value, Refusal *refusal)
{
	return soft_input(&reader->input, reader->pure, pnstrdup(text, len),
					  reader->ioparam, reader->typmod, reader->column, value, refusal);
}

/* A refusal's texts, moved to the current context. */
static void
keep_refusal(Refusal *refusal)
{
	refusal->message = pstrdup(refusal->message);
	if (refusal->detail != NULL)
		refusal->detail = pstrdup(refusal->detail);
	if (refusal->column != NULL)
		refusal->column = pstrdup(refusal->column);
}

/*
 * A function of the reader, of a varlena type, in a context that is emptied behind
 * it: parsing JSON leaves kilobytes per value, which per batch would be megabytes
 * of cold memory.
 */
bool
text_in_scratch(ValueReader *reader, ValueFromText function,
				const char *text, size_t len, Datum *value, Refusal *refusal)
{
	MemoryContext caller;
	bool		fine;

	if (reader->scratch == NULL)
		reader->scratch = AllocSetContextCreate(reader->context, "deltaflow value",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(reader->scratch);	/* after an error thrown in the last use */
	caller = MemoryContextSwitchTo(reader->scratch);
	fine = function(reader, text, len, value, refusal);
	MemoryContextSwitchTo(caller);
	if (fine)
		*value = datumCopy(*value, false, -1);
	else
		keep_refusal(refusal);
	MemoryContextReset(reader->scratch);
	return fine;
}

/* Whether one CHECK constraint of a domain holds. */
static bool
domain_check_holds(ValueReader *reader, DomainConstraintState *constraint,
				   Datum value, bool isnull)
{
	ExprContext *econtext = reader->econtext;
	bool		holds;

	econtext->domainValue_datum = value;
	econtext->domainValue_isNull = isnull;
	holds = ExecCheck(constraint->check_exprstate, econtext);
	ResetExprContext(econtext);
	return holds;
}

/* The constraints of the column's domains, as values where core throws. */
static bool
check_domain(ValueReader *reader, Datum value, bool isnull, Refusal *refusal)
{
	ListCell   *cell;
	bool		fine = true;

	UpdateDomainConstraintRef(reader->domain);
	foreach(cell, reader->domain->constraints)
	{
		DomainConstraintState *constraint = lfirst(cell);

		if (constraint->constrainttype == DOM_CONSTRAINT_NOTNULL)
		{
			if (isnull)
				fine = refuse_record(refusal, ERRCODE_NOT_NULL_VIOLATION, reader->column,
									 "domain %s does not allow null values",
									 format_type_be(reader->type));
		}
		else if (!domain_check_holds(reader, constraint, value, isnull))
			fine = refuse_record(refusal, ERRCODE_CHECK_VIOLATION, reader->column,
								 "value for domain %s violates check constraint \"%s\"",
								 format_type_be(reader->type), constraint->name);
		if (!fine)
			break;
	}
	if (!fine)
		refusal->stage = "check";
	return fine;
}

/* NULL, if the domain allows. */
bool
value_from_null(ValueReader *reader, Datum *value, bool *isnull, Refusal *refusal)
{
	*value = (Datum) 0;
	*isnull = true;
	return reader->domain == NULL || check_domain(reader, *value, true, refusal);
}

/* A text as the type's input function reads it. */
bool
value_from_text(ValueReader *reader, const char *text, size_t len,
				Datum *value, bool *isnull, Refusal *refusal)
{
	*isnull = false;
	if (!reader->from_text(reader, text, len, value, refusal))
		return false;
	return reader->domain == NULL || check_domain(reader, *value, false, refusal);
}

/* The bytes of a bytea as they are. */
bool
value_from_bytes(ValueReader *reader, const char *data, size_t len,
				 Datum *value, bool *isnull, Refusal *refusal)
{
	*isnull = false;
	*value = PointerGetDatum(cstring_to_text_with_len(data, len));
	return reader->domain == NULL || check_domain(reader, *value, false, refusal);
}

/* true, false or null in full; the walker looked at the first letter only. */
static bool
word_is(const JsonToken *token, const char *word)
{
	return token->len == strlen(word) && memcmp(token->text, word, token->len) == 0;
}

/* A scalar that is none. */
static bool
refuse_token(ValueReader *reader, const JsonToken *token, Refusal *refusal)
{
	const char *text = token->text;
	size_t		len = token->len;

	if (!text_to_server(&text, &len, reader->column, refusal))
		return false;
	return refuse_with_detail(refusal, ERRCODE_INVALID_TEXT_REPRESENTATION, reader->column,
							  pstrdup("invalid input syntax for type json"),
							  psprintf("Token \"%s\" is invalid.", excerpt(text, len)));
}

/* A JSON number: its grammar and cost first, because the walker looks at neither. */
static bool
from_number(ValueReader *reader, const JsonToken *token, Datum *value, Refusal *refusal)
{
	JsonLimits	limits = value_limits();

	switch (number_check(token->text, token->len, limits.digits, limits.exponent))
	{
		case NUMBER_OK:
			return reader->from_number(reader, token->text, token->len, value, refusal);
		case NUMBER_TOO_MANY_DIGITS:
			return refuse_fault(refusal, reader->column, JSON_TOO_MANY_DIGITS);
		case NUMBER_EXPONENT_TOO_LARGE:
			return refuse_fault(refusal, reader->column, JSON_EXPONENT_TOO_LARGE);
		case NUMBER_MALFORMED:
			break;
	}
	return refuse_token(reader, token, refusal);
}

/* A JSON string's text, unescaped and in the server's encoding. */
static bool
from_string(ValueReader *reader, const JsonToken *token, Datum *value, Refusal *refusal)
{
	const char *text = token->text;
	size_t		len = token->len;

	if (unlikely(token->escaped))
	{
		char	   *plain = palloc(len);
		JsonFault	fault = json_unescape(token->text, token->len, plain, &len);

		if (fault != JSON_FINE)
			return refuse_fault(refusal, reader->column, fault);
		text = plain;
	}
	if (!text_to_server(&text, &len, reader->column, refusal))
		return false;
	return reader->from_text(reader, text, len, value, refusal);
}

/* true or false */
static bool
from_bool(ValueReader *reader, const JsonToken *token, Datum *value, Refusal *refusal)
{
	if (!word_is(token, "true") && !word_is(token, "false"))
		return refuse_token(reader, token, refusal);
	return reader->from_text(reader, token->text, token->len, value, refusal);
}

/* The text of a value with its quotes, for columns that keep JSON. */
static bool
from_any(ValueReader *reader, const JsonToken *token, Datum *value, Refusal *refusal)
{
	const char *text = token->text;
	size_t		len = token->len;

	if (token->kind == JSON_STRING)
	{
		text -= 1;
		len += 2;
	}
	if (!text_to_server(&text, &len, reader->column, refusal))
		return false;
	if (reader->takes_json)
		return json_from_text(reader, text, len, value, refusal);
	return container_from_json(reader, text, len, value, refusal);
}

/* A value that the type has no use for. */
static bool
refuse_kind(ValueReader *reader, const JsonToken *token, Refusal *refusal)
{
	static const char *const kinds[] = {
		[JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number", [JSON_STRING] = "a string",
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array"
	};

	return refuse_record(refusal, ERRCODE_DATATYPE_MISMATCH, reader->column,
						 "JSON value for column \"%s\" of type %s is %s",
						 reader->column, format_type_be(reader->type), kinds[token->kind]);
}

/* A value that is not null. */
static bool
from_token(ValueReader *reader, const JsonToken *token, Datum *value, Refusal *refusal)
{
	if (reader->takes_json || token->kind == reader->container)
		return from_any(reader, token, value, refusal);
	if (token->kind == JSON_STRING)
		return from_string(reader, token, value, refusal);
	if (reader->container != JSON_ABSENT)
		return refuse_kind(reader, token, refusal);
	if (token->kind == JSON_NUMBER)
		return from_number(reader, token, value, refusal);
	if (token->kind == JSON_BOOL)
		return from_bool(reader, token, value, refusal);
	return refuse_kind(reader, token, refusal);
}

/* A JSON value as jsonb_populate_record reads it. */
bool
value_from_json(ValueReader *reader, const JsonToken *token,
				Datum *value, bool *isnull, Refusal *refusal)
{
	if (token->kind == JSON_ABSENT ||
		(token->kind == JSON_NULL && word_is(token, "null")))
		return value_from_null(reader, value, isnull, refusal);
	if (unlikely(token->kind == JSON_NULL))
		return refuse_token(reader, token, refusal);
	*isnull = false;
	if (!from_token(reader, token, value, refusal))
		return false;
	return reader->domain == NULL || check_domain(reader, *value, false, refusal);
}

/* An integer known to the server as the column's type. */
bool
value_from_int64(ValueReader *reader, int64 number, Datum *value, bool *isnull, Refusal *refusal)
{
	char		text[MAXINT8LEN + 1];

	*isnull = false;
	if (reader->type == INT8OID)
	{
		*value = Int64GetDatum(number);
		return true;
	}
	pg_lltoa(number, text);
	return value_from_text(reader, text, strlen(text), value, isnull, refusal);
}
