/*
 * topic.c
 *		A topic's foreign table, its server and user mapping, read into one struct.
 *
 * In goes the table's oid and who asks, out comes a Topic: options applied to
 * their defaults, one TopicColumn per live attribute, the client's options of
 * server and user mapping together.  Single values were checked by the validator
 * when they were set; what needs the list of columns is checked here, each time,
 * because columns may change after the options did.
 *
 * Locks: AccessShareLock on the foreign table until the end of the transaction.
 * Memory: everything in CurrentMemoryContext; nothing is cached.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "fdw/topic.h"
#include "fdw/topic_option.h"
#include "format/format.h"

#define WRAPPER_NAME "deltaflow_kafka"

/* The wrapper of a server. */
static bool
is_our_server(Oid serverid)
{
	ForeignServer *server = GetForeignServer(serverid);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);

	return strcmp(wrapper->fdwname, WRAPPER_NAME) == 0;
}

/* The server of a foreign table, InvalidOid when relid is something else. */
static Oid
server_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));
	Oid			serverid;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	serverid = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftserver;
	ReleaseSysCache(tuple);
	return serverid;
}

bool
is_topic(Oid relid)
{
	Oid			serverid = server_of(relid);

	return OidIsValid(serverid) && is_our_server(serverid);
}

/* Options of the user mapping, PUBLIC's when the user has none of their own; NIL when there is neither. */
static List *
mapping_options(Oid userid, Oid serverid)
{
	HeapTuple	tuple = SearchSysCache2(USERMAPPINGUSERSERVER,
										ObjectIdGetDatum(userid), ObjectIdGetDatum(serverid));
	Datum		options;
	bool		isnull;
	List	   *list;

	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER,
								ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	options = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple,
							  Anum_pg_user_mapping_umoptions, &isnull);
	list = isnull ? NIL : untransformRelOptions(options);
	ReleaseSysCache(tuple);
	return list;
}

/* Adds a name and value to a growing array. */
static void
add_option(KafkaOption **options, int *n, const DefElem *def)
{
	*options = *options == NULL
		? palloc(sizeof(KafkaOption))
		: repalloc(*options, (*n + 1) * sizeof(KafkaOption));
	(*options)[*n].name = pstrdup(def->defname);
	(*options)[*n].value = pstrdup(defGetString((DefElem *) def));
	(*n)++;
}

/* The client's options: the server's and the mapping's; the table's, which come later, win. */
static void
load_client_options(Topic *topic, Oid userid, Oid serverid)
{
	List	   *server = GetForeignServer(serverid)->options;
	List	   *mapping = mapping_options(userid, serverid);
	ListCell   *cell;

	foreach(cell, server)
		add_option(&topic->options, &topic->noptions, lfirst(cell));
	foreach(cell, mapping)
		add_option(&topic->options, &topic->noptions, lfirst(cell));
}

/* A value that the validator would refuse: options were written past it. */
static void
refuse_value(Relation rel, const char *option, const char *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\" of foreign table \"%s\": \"%s\"",
					option, RelationGetRelationName(rel), value),
			 errhint("Set it again with ALTER FOREIGN TABLE.")));
}

/* Applies the table's own options. */
static void
load_own_options(TopicDraft *draft, Relation rel, List *options)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst(cell);
		const TopicOption *option = find_topic_option(def->defname);

		if (option != NULL && !option->apply(draft, defGetString(def)))
			refuse_value(rel, def->defname, defGetString(def));
	}
	if (draft->topic->name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("foreign table \"%s\" does not name its topic", RelationGetRelationName(rel)),
				 errhint("Use ALTER FOREIGN TABLE %s OPTIONS (ADD topic '...').",
						 quote_identifier(RelationGetRelationName(rel)))));
}

/* Keeps the table's other options: the format's, or the client's. */
static void
load_other_options(Topic *topic, List *options)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst(cell);

		if (find_topic_option(def->defname) != NULL)
			continue;
		if (format_has_option(topic->format, def->defname))
			add_option(&topic->format_options, &topic->nformat_options, def);
		else
			add_option(&topic->options, &topic->noptions, def);
	}
}

/* Whether values of a type (or of the type under a domain) are points in time. */
static bool
is_time_type(Oid type)
{
	type = getBaseType(type);
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

/* Which types a metadata column may have; ends with InvalidOid. */
typedef struct MetadataType
{
	TopicColumnKind kind;
	Oid			types[6];
	const char *names;
} MetadataType;

static const MetadataType metadata_types[] = {
	{COLUMN_PARTITION, {INT4OID}, "integer"},
	{COLUMN_OFFSET, {INT8OID}, "bigint"},
	{COLUMN_TIMESTAMP, {TIMESTAMPTZOID}, "timestamp with time zone"},
	{COLUMN_HEADERS, {JSONBOID}, "jsonb"},
	{COLUMN_TOPIC, {TEXTOID}, "text"},
	{COLUMN_UNKNOWN_FIELDS, {JSONBOID}, "jsonb"},
};

/* A metadata column's type must be the one that kind has; a key's is its format's affair. */
static void
check_metadata_type(const TopicColumn *column)
{
	for (int i = 0; i < lengthof(metadata_types); i++)
	{
		const MetadataType *rule = &metadata_types[i];

		if (rule->kind != column->kind)
			continue;
		for (const Oid *type = rule->types; OidIsValid(*type); type++)
			if (*type == column->type)
				return;
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("metadata column \"%s\" cannot be of type %s",
						column->name, format_type_be(column->type)),
				 errhint("A column with metadata \"%s\" must be of type %s.",
						 column_kind_name(column->kind), rule->names)));
	}
}

/* What one column's options mean together, and for its type. */
static void
check_column(const TopicColumn *column)
{
	if (column->kind != COLUMN_VALUE && (column->path != NULL || column->unit != UNIT_NONE))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("metadata column \"%s\" cannot have option \"%s\"",
						column->name, column->path != NULL ? "field" : "unit"),
				 errhint("Options field and unit are for columns read from the record's value.")));
	if (column->unit != UNIT_NONE && !is_time_type(column->type))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("column \"%s\" of type %s cannot have option \"unit\"",
						column->name, format_type_be(column->type)),
				 errhint("Option unit says how a number becomes a date or timestamp.")));
	check_metadata_type(column);
}

/* One attribute with its options. */
static void
load_column(TopicColumn *column, Oid relid, Form_pg_attribute attribute)
{
	ListCell   *cell;

	column->attnum = attribute->attnum;
	column->name = pstrdup(NameStr(attribute->attname));
	column->type = attribute->atttypid;
	column->typmod = attribute->atttypmod;
	column->kind = COLUMN_VALUE;
	foreach(cell, GetForeignColumnOptions(relid, attribute->attnum))
	{
		DefElem    *def = lfirst(cell);
		const ColumnOption *option = find_column_option(def->defname);

		if (option == NULL || !option->apply(column, defGetString(def)))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("invalid option \"%s\" of column \"%s\": \"%s\"",
							def->defname, column->name, defGetString(def))));
	}
	check_column(column);
	if (column->kind == COLUMN_VALUE && column->path == NULL)
	{
		column->path_len = 1;
		column->path = palloc(sizeof(char *));
		column->path[0] = column->name;
	}
}

/* Every live column, and that none but values appears twice. */
static void
load_columns(Topic *topic)
{
	bool		seen[COLUMN_UNKNOWN_FIELDS + 1] = {false};

	topic->columns = palloc0(topic->desc->natts * sizeof(TopicColumn));
	for (int i = 0; i < topic->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(topic->desc, i);
		TopicColumn *column = &topic->columns[topic->ncolumns];

		if (attribute->attisdropped)
			continue;
		load_column(column, topic->relid, attribute);
		if (column->kind != COLUMN_VALUE && seen[column->kind])
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("column \"%s\" repeats metadata \"%s\"",
							column->name, column_kind_name(column->kind)),
					 errhint("Drop one of the two columns, or its option.")));
		seen[column->kind] = true;
		topic->ncolumns++;
	}
}

/* The column that option event_time names. */
static void
resolve_event_time(TopicDraft *draft)
{
	Topic	   *topic = draft->topic;

	if (draft->event_time == NULL)
		return;
	for (int i = 0; i < topic->ncolumns; i++)
	{
		const TopicColumn *column = &topic->columns[i];

		if (strcmp(column->name, draft->event_time) != 0)
			continue;
		if (!is_time_type(column->type))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
					 errmsg("event_time column \"%s\" cannot be of type %s",
							column->name, format_type_be(column->type)),
					 errhint("Event time must be a timestamp with time zone, a timestamp or a date.")));
		topic->event_time = column->attnum;
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
			 errmsg("event_time column \"%s\" of topic \"%s\" does not exist",
					draft->event_time, topic->name),
			 errhint("Set option event_time of the foreign table to one of its columns.")));
}

Topic *
topic_load(Oid relid, Oid userid)
{
	Oid			serverid = server_of(relid);
	Relation	rel = table_open(relid, AccessShareLock);
	TopicDraft	draft = topic_draft();
	Topic	   *topic = draft.topic;

	if (!OidIsValid(serverid) || !is_our_server(serverid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a topic", RelationGetRelationName(rel)),
				 errhint("A topic is a foreign table of a server of wrapper %s.", WRAPPER_NAME)));
	topic->relid = relid;
	topic->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	load_client_options(topic, userid, serverid);
	load_own_options(&draft, rel, GetForeignTable(relid)->options);
	load_other_options(topic, GetForeignTable(relid)->options);
	load_columns(topic);
	resolve_event_time(&draft);
	table_close(rel, NoLock);
	return topic;
}
