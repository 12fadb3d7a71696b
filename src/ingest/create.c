/*
 * create.c
 *		Making, dropping and repositioning ingests.
 *
 * create_ingest refuses at once whatever could only fail later in a worker: it
 * compiles the very map the worker will use, as the role the worker will be.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "ingest/create.h"
#include "ingest/filter.h"
#include "ingest/options.h"
#include "ingest/relation.h"
#include "ingest/row_map.h"
#include "ingest/start.h"
#include "ingest/target.h"
#include "worker/control.h"
#include "worker/wake.h"

/* The topic must be one, and readable by the caller and by the role that will read it. */
static void
check_topic(Oid topic, Oid owner)
{
	if (!is_topic(topic))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a topic", get_rel_name(topic)),
				 errhint("Name a foreign table of a server with FOREIGN DATA WRAPPER deltaflow_kafka.")));
	if (pg_class_aclcheck(topic, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_TABLE, get_rel_name(topic));
	if (pg_class_aclcheck(topic, owner, ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for foreign table %s", get_rel_name(topic)),
				 errdetail("The ingest runs as the target's owner, role \"%s\".", GetUserNameFromId(owner, false)),
				 errhint("GRANT SELECT ON %s TO that role.", get_rel_name(topic))));
}

/* The target must be a table of the caller's that rows can be put into. */
static void
check_target(Relation target)
{
	const char *name = RelationGetRelationName(target);
	char		relkind = target->rd_rel->relkind;

	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", name),
				 errhint("The target is an ordinary or a partitioned table.")));
	if (!object_ownercheck(RelationRelationId, RelationGetRelid(target), GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
	if (RelationGetNamespace(target) == PG_CATALOG_NAMESPACE || target->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot ingest into table \"%s\"", name),
				 errdetail("It is a temporary table or a system catalog.")));
	target_check_row_security(target);
}

/* There must be a name, and it and the target must be free. */
static void
check_free(const char *name, Oid target)
{
	PipelineRow *other = pipeline_by_target(target);

	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of an ingest cannot be empty"),
				 errhint("Leave it out for the name of the target.")));
	if (other != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("table \"%s\" is already the target of ingest \"%s\"", get_rel_name(target), other->name),
				 errhint("SELECT deltaflow.drop_ingest(%s) first, or choose another table.",
						 quote_literal_cstr(other->name))));
	if (pipeline_by_name(name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("ingest \"%s\" already exists", name),
				 errhint("Give this one another name: create_ingest(..., name => '...').")));
}

/* Compiles the map from topic to target as the worker will, and throws it away. */
static void
check_map(const PipelineRow *row, Relation target)
{
	Identity	before = identity_become(target->rd_rel->relowner, NIL);
	Topic	   *topic = topic_load(row->topic, target->rd_rel->relowner);

	(void) row_map_create(topic, target, row->filter);
	identity_restore(before);
}

/* Without workers nothing happens by itself. */
static void
notice_no_workers(const char *name)
{
	if (!workers_possible())
		ereport(NOTICE,
				(errmsg("no worker will run ingest \"%s\"", name),
				 errdetail("The server does not preload deltaflow."),
				 errhint("Add deltaflow to shared_preload_libraries and restart the server, or call deltaflow.run_once(%s).",
						 quote_literal_cstr(name))));
}

char *
ingest_create(Oid topic, Oid target, const char *start, const char *name,
			  const char *filter, const char *options)
{
	Relation	rel = table_open(target, ShareUpdateExclusiveLock);
	PipelineRow row = {0};

	row.name = name != NULL ? pstrdup(name) : pstrdup(RelationGetRelationName(rel));
	row.topic = topic;
	row.target = target;
	row.start_at = pstrdup(start);
	row.options = pstrdup(options);
	row.state = STATE_RUNNING;

	check_target(rel);
	check_topic(topic, rel->rd_rel->relowner);
	check_free(row.name, target);
	(void) ingest_options_parse(options);
	if (filter != NULL)
		row.filter = filter_qualified(filter, topic);
	check_map(&row, rel);
	(void) pipeline_create(&row, rel->rd_rel->relowner);

	table_close(rel, NoLock);
	wake_workers_at_commit();
	notice_no_workers(row.name);
	return row.name;
}

/* The ingest of that name, locked, if it is the caller's to change. */
static PipelineRow *
lock_own(const char *name)
{
	NamedObject *object = object_by_name(name);
	Oid			relid = object_relation(object);
	PipelineRow *row;

	if (object->view != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a view, not an ingest", name)));
	if (get_rel_name(relid) == NULL)
	{
		if (!superuser())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("must be superuser to change an ingest whose table is gone")));
	}
	else if (!object_ownercheck(RelationRelationId, relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
	row = pipeline_lock(object->pipeline->id);
	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("ingest \"%s\" does not exist", name)));
	return row;
}

void
ingest_drop(const char *name)
{
	PipelineRow *row = lock_own(name);
	List	   *views = view_list(row->id);

	if (views != NIL)
	{
		ViewRow    *first = linitial(views);

		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop ingest \"%s\" because views depend on it", row->name),
				 errdetail("View %s is one of %d.", get_rel_name(first->live), list_length(views)),
				 errhint("DROP VIEW each of them first.")));
	}
	pipeline_delete(row->id);
	wake_workers_at_commit();
}

/* The views of a topic's pipeline count on from there, too. */
static void
move_views(const PipelineRow *row, int32 partition, int64 next_offset)
{
	ListCell   *lc;
	ListCell   *cell;

	if (OidIsValid(row->target))
		return;
	foreach(lc, view_list(row->id))
	{
		ViewRow    *view = lfirst(lc);

		foreach(cell, view_position_list(view->id))
		{
			PositionRow *position = lfirst(cell);

			if (position->partition != partition)
				continue;
			position->next_offset = next_offset;
			view_position_put(view->id, position);
		}
	}
}

void
ingest_set_position(const char *name, int32 partition, int64 next_offset)
{
	PipelineRow *row = lock_own(name);
	PositionRow *position = NULL;
	ListCell   *lc;

	foreach(lc, position_list(row->id))
		if (((PositionRow *) lfirst(lc))->partition == partition)
			position = lfirst(lc);
	if (position == NULL || next_offset < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 position == NULL ? errmsg("\"%s\" has no partition %d", row->name, partition) :
				 errmsg("an offset must not be negative")));
	if (next_offset < position->next_offset)
	{
		dead_letters_read_again(row->id, partition, next_offset, position->next_offset);
		ereport(NOTICE,
				(errmsg("records from offset " INT64_FORMAT " to " INT64_FORMAT " of partition %d are read again if they are still the same",
						next_offset, position->next_offset, partition)));
	}

	epoch_insert(row->id, row->epoch + 1, row->watermark, partition, position->next_offset, next_offset, 0);
	position_move(row->id, partition, next_offset);
	move_views(row, partition, next_offset);
	pipeline_end_epoch(row->id, row->epoch + 1, row->watermark, 0);
	pipeline_changed(row->id);
	wake_workers_at_commit();
}

/* The relations that the current command dropped. */
static List *
dropped_relations(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *relids = NIL;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute("SELECT objid FROM pg_catalog.pg_event_trigger_dropped_objects() "
					"WHERE classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass "
					"AND objsubid OPERATOR(pg_catalog.=) 0", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read dropped objects");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContext spi = MemoryContextSwitchTo(caller);

		relids = lappend_oid(relids, relid);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return relids;
}

void
ingest_relations_dropped(void)
{
	List	   *dropped = dropped_relations();
	ListCell   *lc;
	ListCell   *cell;

	foreach(lc, dropped)
	{
		foreach(cell, pipeline_list_of_relation(lfirst_oid(lc)))
		{
			PipelineRow *row = lfirst(cell);

			if (OidIsValid(row->target) && !list_member_oid(dropped, row->target) &&
				get_rel_name(row->target) != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						 errmsg("cannot drop the topic because ingest \"%s\" reads it", row->name),
						 errhint("SELECT deltaflow.drop_ingest(%s) first; the table it filled stays.",
								 quote_literal_cstr(row->name))));
			pipeline_delete(row->id);
			wake_workers_at_commit();
		}
	}
}

void
ingest_topics_altered(void)
{
	List	   *changed = pipeline_list_of_other_topic();
	PipelineRow *row;
	char	   *name;

	if (changed == NIL)
		return;
	row = linitial(changed);
	name = get_rel_name(row->topic);
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot change the topic of foreign table \"%s\" because \"%s\" reads it", name, row->name),
			 errdetail("Its positions are offsets of the old topic: records before them would be skipped in the new one."),
			 errhint("Make another foreign table for the other topic, and an ingest or view that reads it.")));
}
