/*
 * value_container.c
 *		JSON arrays to arrays and JSON objects to composites, element by element.
 *
 * This is core's own code: jsonb_to_record() over one column of the wanted type,
 * called with the row type where a FROM clause would give it.  Where the elements
 * are numeric or text, json_to_record() takes its place, because it keeps the text
 * of numbers (but not for objects as elements of text[], of which jsonb's text is
 * wanted).  Element types may have any input function: when all are pure, an
 * error in the data becomes a refusal, else it is thrown.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "format/iso_time.h"
#include "format/json_check.h"
#include "format/refusal.h"
#include "format/soft_call.h"
#include "format/value.h"

/* Whether the texts of JSON numbers are kept for elements of this type. */
static bool
keeps_number_text(Oid type)
{
	return type == NUMERICOID || type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

/* Finds out whether the type has elements, and prepares core's function for it. */
void
container_compile(ValueReader *reader)
{
	Oid			element = get_element_type(reader->base);

	if (OidIsValid(element))
		reader->container = JSON_ARRAY;
	else if (type_is_rowtype(reader->base))
		reader->container = JSON_OBJECT;
	else
		return;
	reader->container_exact = OidIsValid(element) && keeps_number_text(getBaseType(element));
	fmgr_info(F_JSON_TO_RECORD, &reader->populate_json);
	fmgr_info(F_JSONB_TO_RECORD, &reader->populate_jsonb);
	reader->populate_desc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(reader->populate_desc, 1, "v", reader->base, reader->typmod, 0);
	BlessTupleDesc(reader->populate_desc);
}

/* Whether a number stands outside of strings. */
static bool
has_bare_number(const char *text, size_t len)
{
	bool		in_string = false;

	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && text[i] >= '0' && text[i] <= '9')
			return true;
	}
	return false;
}

typedef struct PopulateCall
{
	ValueReader *reader;
	bool		exact;
	char	   *object;			/* {"v": the value} */
	Datum		value;
} PopulateCall;

/* The column of the one-column record that core makes of the object. */
static void
call_populate(void *arg)
{
	PopulateCall *call = arg;
	ValueReader *reader = call->reader;
	FmgrInfo   *function = call->exact ? &reader->populate_json : &reader->populate_jsonb;
	ReturnSetInfo where = {T_ReturnSetInfo};
	Datum		json = DirectFunctionCall1(call->exact ? json_in : jsonb_in,
										   CStringGetDatum(call->object));
	Datum		record;
	bool		isnull;

	LOCAL_FCINFO(fcinfo, 1);

	where.expectedDesc = reader->populate_desc;
	where.allowedModes = SFRM_ValuePerCall;
	InitFunctionCallInfoData(*fcinfo, function, 1, InvalidOid, NULL, (Node *) &where);
	fcinfo->args[0].value = json;
	fcinfo->args[0].isnull = false;
	record = FunctionCallInvoke(fcinfo);
	call->value = GetAttributeByNum(DatumGetHeapTupleHeader(record), 1, &isnull);
}

/* An array or object to the column's array or composite. */
static bool
container_by_core(ValueReader *reader, const char *text, size_t len,
				  Datum *value, Refusal *refusal)
{
	PopulateCall call = {reader};

	if (!json_check(text, len, reader->column, refusal))
		return false;
	if (reader->datetime && (mentions_clock(text, len) || has_bare_number(text, len)))
		return refuse_record(refusal, ERRCODE_INVALID_DATETIME_FORMAT, reader->column,
							 "element for column \"%s\" of type %s depends on the clock or has no unit",
							 reader->column, format_type_be(reader->type));
	call.exact = reader->container_exact && memchr(text, '{', len) == NULL;
	call.object = psprintf("{\"v\": %.*s}", (int) len, text);
	if (!reader->pure)
		call_populate(&call);
	else if (!soft_call(call_populate, &call, reader->column, refusal))
		return false;
	*value = call.value;
	return true;
}

/* The same, without what it leaves behind.  The text is in the server's encoding. */
bool
container_from_json(ValueReader *reader, const char *text, size_t len,
					Datum *value, Refusal *refusal)
{
	return text_in_scratch(reader, container_by_core, text, len, value, refusal);
}
