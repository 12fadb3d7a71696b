/*
 * validator.c
 *		Whether the options of an object of wrapper deltaflow_kafka may be so.
 *
 * In goes the whole list of options that an object would have after CREATE or
 * ALTER, out comes nothing or an ERROR that names the option and what would be
 * right.  Everything is an allow-list:
 *
 *	wrapper			nothing
 *	server			librdkafka's options, by kafka/option_policy.h
 *	user mapping	librdkafka's options of the user: secrets live here only
 *	foreign table	topic_options[], the format's own, librdkafka's of a topic
 *	column			column_options[]
 *
 * The rights to options that name files are those of the role that runs the
 * command, over the whole list: who may not set such an option may not change
 * anything else of an object that has it, either.  What needs the list of
 * columns is checked by topic_load.
 */
#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/varlena.h"

#include "fdw/topic_option.h"
#include "fdw/validator.h"
#include "format/format.h"
#include "kafka/option_policy.h"

/* Raises the policy's refusal, if there is one. */
static void
raise_refusal(const OptionRefusal *refusal)
{
	if (refusal != NULL)
		option_refusal_raise(refusal);
}

/* Options that only librdkafka reads. */
static void
validate_client_options(List *options, OptionPlace place)
{
	OptionRights rights = option_rights(GetUserId());
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst(cell);

		raise_refusal(option_check(def->defname, defGetString(def), place, rights));
	}
}

/* The value of an option, NULL when it is not there. */
static const char *
option_value(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst(cell);

		if (strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}

/* ERROR unless the option is there. */
static void
require_option(List *options, const char *name, const char *example)
{
	if (option_value(options, name) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"%s\" is required", name),
				 errhint("Add OPTIONS (%s).", example)));
}

/* The best guess at what was meant, so far. */
typedef struct Nearest
{
	const char *wanted;
	const char *name;			/* NULL: nothing near enough */
	int			distance;
} Nearest;

/* Takes a name when it is nearer than the one before. */
static void
nearest_offer(Nearest *nearest, const char *name)
{
	int			length = strlen(nearest->wanted);
	int			distance;

	if (length > 100)
		return;
	distance = varstr_levenshtein_less_equal(nearest->wanted, length, name, strlen(name),
											 1, 1, 1, nearest->distance, true);
	if (distance < nearest->distance && distance <= length / 2)
	{
		nearest->name = name;
		nearest->distance = distance;
	}
}

/* An option that does not exist: what was meant, or what there is. */
static void
refuse_unrecognized(const char *kind, const Nearest *nearest, const char *all)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\" for a %s", nearest->wanted, kind),
			 nearest->name != NULL
			 ? errhint("Perhaps you meant the option \"%s\".", nearest->name)
			 : errhint("Valid options are: %s.", all)));
}

/* A value that is not one of that option. */
static void
refuse_value(const DefElem *def, const char *expects)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"",
					def->defname, defGetString((DefElem *) def)),
			 errhint("The value must be %s.", expects)));
}

/* A foreign table's option that is not in topic_options[]: the format's, librdkafka's or nobody's. */
static void
validate_other_topic_option(const DefElem *def, const char *format)
{
	Nearest		nearest = {def->defname, NULL, 4};

	if (format_has_option(format, def->defname))
		return;
	if (option_is_known(def->defname))
	{
		raise_refusal(option_check(def->defname, defGetString((DefElem *) def),
								   OPTION_ON_TOPIC, option_rights(GetUserId())));
		return;
	}
	for (const TopicOption *option = topic_options; option->name != NULL; option++)
		nearest_offer(&nearest, option->name);
	refuse_unrecognized("foreign table", &nearest,
						"topic, format, key_format, start, event_time, watermark_delay, max_future, "
						"on_future, idle_timeout, on_error, dead_letter_limit, those of the format, and those of librdkafka for one topic");
}

/* Options of a foreign table. */
static void
validate_topic(List *options)
{
	TopicDraft	draft = topic_draft();
	ListCell   *cell;

	require_option(options, "topic", "topic '...'");
	foreach(cell, options)
	{
		DefElem    *def = lfirst(cell);
		const TopicOption *option = find_topic_option(def->defname);

		if (option != NULL && !option->apply(&draft, defGetString(def)))
			refuse_value(def, option->expects != NULL ? option->expects
						 : psprintf("one of: %s", format_names()));
	}
	foreach(cell, options)
	{
		DefElem    *def = lfirst(cell);

		if (find_topic_option(def->defname) == NULL)
			validate_other_topic_option(def, draft.topic->format);
	}
}

/* Options of one column. */
static void
validate_column(List *options)
{
	TopicColumn column = {0};
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *def = lfirst(cell);
		const ColumnOption *option = find_column_option(def->defname);
		Nearest		nearest = {def->defname, NULL, 4};

		if (option == NULL)
		{
			for (option = column_options; option->name != NULL; option++)
				nearest_offer(&nearest, option->name);
			refuse_unrecognized("column", &nearest, "metadata, field, unit");
		}
		else if (!option->apply(&column, defGetString(def)))
			refuse_value(def, option->expects);
	}
	if (column.kind != COLUMN_VALUE && list_length(options) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"metadata\" cannot be combined with options \"field\" and \"unit\""),
				 errhint("Options field and unit are for columns read from the record's value.")));
}

/* The wrapper itself has no options. */
static void
validate_wrapper(List *options)
{
	if (options != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\" for a foreign-data wrapper",
						((DefElem *) linitial(options))->defname),
				 errhint("Set options for servers, user mappings and foreign tables.")));
}

void
validate_options(List *options, Oid catalog)
{
	switch (catalog)
	{
		case ForeignDataWrapperRelationId:
			validate_wrapper(options);
			break;
		case ForeignServerRelationId:
			validate_client_options(options, OPTION_ON_SERVER);
			require_option(options, "bootstrap.servers", "\"bootstrap.servers\" 'host:9092'");
			break;
		case UserMappingRelationId:
			validate_client_options(options, OPTION_ON_USER_MAPPING);
			break;
		case ForeignTableRelationId:
			validate_topic(options);
			break;
		case AttributeRelationId:
			validate_column(options);
			break;
		default:
			elog(ERROR, "unexpected catalog %u for options", catalog);
	}
}
