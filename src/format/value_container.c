/*
 * value_container.c
 *		JSON arrays to arrays and JSON objects to composites, element by element.
 *
 * This is core's own code: jsonb_to_record() over one column of the wanted type,
 * called with the row type where a FROM clause would give it.  Where the elements
 * are numeric or text, json_to_record() takes its place, because it keeps the text
 * of numbers (but not for objects as elements of text[], of which jsonb's text is
 * wanted).  Element types may have any input function: when all are pure, an
 * error in the data becomes a refusal, else it is thrown.  What core would take from
 * the clock is refused behind it, where types and spellings are known.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

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

/* Whether a value of that type, itself or in one of its elements or fields, is a date or time. */
static bool
holds_datetime(Oid type)
{
	Oid			base = getBaseType(type);
	TupleDesc	desc;
	bool		holds = false;

	if (OidIsValid(get_element_type(base)))
		return holds_datetime(get_element_type(base));
	if (!type_is_rowtype(base))
		return type_is_datetime(base);
	desc = lookup_rowtype_tupdesc(base, -1);
	for (int i = 0; i < desc->natts && !holds; i++)
		holds = !TupleDescAttr(desc, i)->attisdropped && holds_datetime(TupleDescAttr(desc, i)->atttypid);
	ReleaseTupleDesc(desc);
	return holds;
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
	reader->datetime = holds_datetime(reader->base);
	fmgr_info(F_JSON_TO_RECORD, &reader->populate_json);
	fmgr_info(F_JSONB_TO_RECORD, &reader->populate_jsonb);
	reader->populate_desc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(reader->populate_desc, 1, "v", reader->base, reader->typmod, 0);
	BlessTupleDesc(reader->populate_desc);
}

static bool depends_on_clock(Oid type, const JsonbValue *value);

/* The same question for the elements of an array; those of several dimensions are arrays again. */
static bool
element_depends_on_clock(Oid array, JsonbContainer *elements)
{
	for (uint32 i = 0; i < JsonContainerSize(elements); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(elements, i);
		bool		is_array = element->type == jbvBinary && JsonContainerIsArray(element->val.binary.data);

		if (depends_on_clock(is_array ? array : get_element_type(array), element))
			return true;
	}
	return false;
}

/* And for the fields of a composite. */
static bool
field_depends_on_clock(Oid composite, JsonbContainer *fields)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(composite, -1);
	bool		depends = false;

	for (int i = 0; i < desc->natts && !depends; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		JsonbValue	field;

		depends = !attribute->attisdropped &&
			getKeyJsonValueFromContainer(fields, NameStr(attribute->attname),
										 strlen(NameStr(attribute->attname)), &field) != NULL &&
			depends_on_clock(attribute->atttypid, &field);
	}
	ReleaseTupleDesc(desc);
	return depends;
}

/* Whether it takes the clock, or a unit, to know what a JSON value of that type means. */
static bool
depends_on_clock(Oid type, const JsonbValue *value)
{
	Oid			base = getBaseType(type);

	check_stack_depth();
	if (value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
		return OidIsValid(get_element_type(base)) && element_depends_on_clock(base, value->val.binary.data);
	if (value->type == jbvBinary)
		return type_is_rowtype(base) && field_depends_on_clock(base, value->val.binary.data);
	if (!type_is_datetime(base))
		return false;
	if (value->type == jbvString)
		return mentions_clock(value->val.string.val, value->val.string.len) ||
			(base == TIMETZOID && !names_offset(value->val.string.val, value->val.string.len));
	return value->type == jbvNumeric;
}

typedef struct PopulateCall
{
	ValueReader *reader;
	bool		exact;
	char	   *object;			/* {"v": the value} */
	Datum		json;			/* the same as json or jsonb */
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
	Datum		record;
	bool		isnull;

	LOCAL_FCINFO(fcinfo, 1);

	call->json = DirectFunctionCall1(call->exact ? json_in : jsonb_in, CStringGetDatum(call->object));
	where.expectedDesc = reader->populate_desc;
	where.allowedModes = SFRM_ValuePerCall;
	InitFunctionCallInfoData(*fcinfo, function, 1, InvalidOid, NULL, (Node *) &where);
	fcinfo->args[0].value = call->json;
	fcinfo->args[0].isnull = false;
	record = FunctionCallInvoke(fcinfo);
	call->value = GetAttributeByNum(DatumGetHeapTupleHeader(record), 1, &isnull);
}

/* Whether the value, the one field of an object, takes the clock; no object: what is not JSON is no question of time. */
static bool
takes_clock(const ValueReader *reader, Datum object)
{
	JsonbValue	value;

	return object != (Datum) 0 &&
		getKeyJsonValueFromContainer(&DatumGetJsonbP(object)->root, "v", 1, &value) != NULL &&
		depends_on_clock(reader->base, &value);
}

/* An array or object to the column's array or composite. */
static bool
container_by_core(ValueReader *reader, const char *text, size_t len,
				  Datum *value, Refusal *refusal)
{
	PopulateCall call = {reader};
	bool		fine = true;

	if (!json_check(text, len, reader->column, refusal))
		return false;
	call.exact = reader->container_exact && memchr(text, '{', len) == NULL;
	call.object = psprintf("{\"v\": %.*s}", (int) len, text);
	if (!reader->pure)
		call_populate(&call);
	else
		fine = soft_call(call_populate, &call, reader->column, refusal);
	if (reader->datetime && takes_clock(reader, call.json))
		return refuse_record(refusal, ERRCODE_INVALID_DATETIME_FORMAT, reader->column,
							 "element for column \"%s\" of type %s depends on the clock or has no unit",
							 reader->column, format_type_be(reader->type));
	if (!fine)
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
