/*
 * json_encode.c
 *		Rows to JSON objects, for INSERT.
 *
 * The columns' paths are a tree, as in json.c, written depth first: an object per
 * inner node, in the order in which the columns are declared.  A value is written
 * as to_json() writes it, so that reading gives the value back; dates and times
 * with a unit are written as integers of that unit, and types of users as their text,
 * also where they have a cast to json: reading takes their text.  NULL is null, and an
 * inner object in which all is NULL is null itself.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "format/json_encode.h"

struct JsonWriter
{
	FmgrInfo	to_json;
	FmgrInfo	output;			/* of a user's type, instead */
	bool		as_text;
	Oid			base;
	TimeUnit	unit;
};

/* An object on the way to values, or a value. */
typedef struct EncodeNode
{
	const char *name;
	AttrNumber	attnum;			/* 0: an object */
	JsonWriter *writer;
	int			nchildren;
	struct EncodeNode *children;
} EncodeNode;

/* to_json() asks its call expression for the argument's type, so it is given one. */
JsonWriter *
json_writer_create(const TopicColumn *column)
{
	JsonWriter *writer = palloc0(sizeof(JsonWriter));
	Node	   *argument = (Node *) makeNullConst(column->type, column->typmod, InvalidOid);
	Oid			output;
	bool		varlena;

	fmgr_info(F_TO_JSON, &writer->to_json);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSON, JSONOID, list_make1(argument),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &writer->to_json);
	writer->base = getBaseType(column->type);
	writer->unit = column->unit;
	writer->as_text = writer->base >= FirstNormalObjectId && !type_is_rowtype(writer->base) &&
		!OidIsValid(get_element_type(writer->base));
	getTypeOutputInfo(writer->base, &output, &varlena);
	fmgr_info(output, &writer->output);
	return writer;
}

/* Numbers with a unit are read up to 18 digits. */
#define READABLE_NUMBERS INT64CONST(1000000000000000000)

/* A date/time value as microseconds since 2000; false where only its type can count so far. */
static bool
timestamp_of(const JsonWriter *writer, Datum value, Timestamp *timestamp)
{
	DateADT		date;

	if (writer->base != DATEOID)
	{
		*timestamp = DatumGetTimestamp(value);
		return !TIMESTAMP_NOT_FINITE(*timestamp);
	}
	date = DatumGetDateADT(value);
	return !DATE_NOT_FINITE(date) &&
		!pg_mul_s64_overflow(date, USECS_PER_DAY, timestamp) && IS_VALID_TIMESTAMP(*timestamp);
}

/*
 * A date/time value as an integer in the column's unit, towards the past.  False:
 * it is written as text, because the column has no unit, or because reading takes
 * no such number (infinities, and what is too far away for microseconds since 1970).
 */
static bool
in_unit(const JsonWriter *writer, Datum value, int64 *number)
{
	static const int64 micros_per_unit[] = {
		[UNIT_SECONDS] = USECS_PER_SEC, [UNIT_MILLISECONDS] = 1000, [UNIT_MICROSECONDS] = 1
	};
	Timestamp	timestamp;
	int64		micros;
	int64		unit;

	if (writer->unit == UNIT_NONE || !timestamp_of(writer, value, &timestamp) ||
		pg_add_s64_overflow(timestamp, (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY, &micros))
		return false;
	unit = micros_per_unit[writer->unit];
	*number = micros / unit - (micros % unit < 0);
	return *number > -READABLE_NUMBERS && *number < READABLE_NUMBERS;
}

/* One value, not NULL, as JSON in the server's encoding. */
void
json_write(JsonWriter *writer, Datum value, StringInfo out)
{
	text	   *json;
	int64		number;

	if (in_unit(writer, value, &number))
	{
		appendStringInfo(out, INT64_FORMAT, number);
		return;
	}
	if (writer->as_text)
	{
		escape_json(out, OutputFunctionCall(&writer->output, value));
		return;
	}
	json = DatumGetTextPP(FunctionCall1(&writer->to_json, value));
	appendBinaryStringInfo(out, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
}

/* The child of that name, added when there is none. */
static EncodeNode *
add_child(EncodeNode *node, const char *name)
{
	EncodeNode *child;

	for (int i = 0; i < node->nchildren; i++)
		if (strcmp(node->children[i].name, name) == 0)
			return &node->children[i];
	node->children = node->nchildren == 0 ? palloc(sizeof(EncodeNode))
		: repalloc(node->children, sizeof(EncodeNode) * (node->nchildren + 1));
	child = &node->children[node->nchildren++];
	memset(child, 0, sizeof(EncodeNode));
	child->name = name;
	return child;
}

/* Two columns cannot write the same field, nor one inside the other's value. */
static void
refuse_overlap(const TopicColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot write to topic: column \"%s\" overlaps another column's field",
					column->name),
			 errhint("Insert through a foreign table in which every field belongs to one column.")));
}

/* Builds the tree of the columns' paths. */
void *
json_encode_compile(const Topic *topic)
{
	EncodeNode *root = palloc0(sizeof(EncodeNode));

	for (int i = 0; i < topic->ncolumns; i++)
	{
		const TopicColumn *column = &topic->columns[i];
		EncodeNode *node = root;

		if (column->kind != COLUMN_VALUE)
			continue;
		for (int part = 0; part < column->path_len; part++)
		{
			if (node->attnum != 0)
				refuse_overlap(column);
			node = add_child(node, column->path[part]);
		}
		if (node->attnum != 0 || node->nchildren > 0)
			refuse_overlap(column);
		node->attnum = column->attnum;
		node->writer = json_writer_create(column);
	}
	return root;
}

/* Whether nothing below the node has a value. */
static bool
all_null(const EncodeNode *node, const bool *isnull)
{
	if (node->attnum != 0)
		return isnull[node->attnum - 1];
	for (int i = 0; i < node->nchildren; i++)
		if (!all_null(&node->children[i], isnull))
			return false;
	return true;
}

/* A node and what is below it. */
static void
write_node(const EncodeNode *node, const Datum *values, const bool *isnull, StringInfo out)
{
	if (node->attnum != 0)
	{
		json_write(node->writer, values[node->attnum - 1], out);
		return;
	}
	appendStringInfoChar(out, '{');
	for (int i = 0; i < node->nchildren; i++)
	{
		const EncodeNode *child = &node->children[i];

		if (i > 0)
			appendStringInfoChar(out, ',');
		escape_json(out, child->name);
		appendStringInfoChar(out, ':');
		if (all_null(child, isnull))
			appendStringInfoString(out, "null");
		else
			write_node(child, values, isnull, out);
	}
	appendStringInfoChar(out, '}');
}

/* Writes one row, in UTF-8. */
void
json_encode(void *state, const Datum *values, const bool *isnull, StringInfo out)
{
	StringInfoData object;
	char	   *utf8;

	initStringInfo(&object);
	write_node(state, values, isnull, &object);
	utf8 = pg_server_to_any(object.data, object.len, PG_UTF8);
	appendBinaryStringInfo(out, utf8, utf8 == object.data ? object.len : (int) strlen(utf8));
	pfree(object.data);
}
