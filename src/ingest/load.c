/*
 * load.c
 *		From catalog rows to a pipeline that can run, and back to nothing.
 *
 * Everything is derived: the topic's options, the compiled map, filter and
 * decoder, the views' specs.  Whatever changes later makes the pipeline load again
 * (epoch, generation, stale.h), so nothing here is ever repaired in place.
 */
#include "postgres.h"

#include <limits.h>

#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ingest/pipeline.h"
#include "ingest/relation.h"
#include "ingest/stale.h"
#include "view/lock.h"
#include "worker/settings.h"

#define BACKOFF_FIRST_MS	100
#define BACKOFF_MOST_MS		30000

/* Positions of all partitions, as stored. */
static void
load_positions(Pipeline *pipeline)
{
	List	   *rows = position_list(pipeline->row->id);
	ListCell   *lc;
	int			i = 0;

	pipeline->npartitions = list_length(rows);
	pipeline->partitions = palloc0(sizeof(Partition) * Max(pipeline->npartitions, 1));
	foreach(lc, rows)
	{
		pipeline->partitions[i].committed = *(PositionRow *) lfirst(lc);
		i++;
	}
}

/* The owner may have lost the right to read the topic since the ingest was made. */
static void
check_rights(const Pipeline *pipeline)
{
	if (pg_class_aclcheck(pipeline->row->topic, pipeline->owner, ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for topic \"%s\"", get_rel_name(pipeline->row->topic)),
				 errdetail("The ingest reads it as role \"%s\".", GetUserNameFromId(pipeline->owner, false))));
}

/* Row, topic and positions. */
static void
load_catalog(Pipeline *pipeline, void *argument)
{
	MemoryContext before = MemoryContextSwitchTo(pipeline->context);
	int64		id = *(int64 *) argument;

	pipeline->row = pipeline_by_id(id);
	if (pipeline->row != NULL)
	{
		relation_lock(pipeline->row->topic, AccessShareLock, pipeline->nested);
		pipeline->owner = relation_owner(pipeline_stores(pipeline) ? pipeline->row->target : pipeline->row->topic);
		pipeline->options = ingest_options_parse(pipeline->row->options);
		pipeline->topic = topic_load(pipeline->row->topic, pipeline->owner);
		check_rights(pipeline);
		load_positions(pipeline);
		stale_watch(pipeline->row->topic);
	}
	MemoryContextSwitchTo(before);
}

/* Map and rows of an ingest, as its owner. */
static Bitmapset *
load_target(Pipeline *pipeline)
{
	Relation	rel;
	TupleDesc	desc;

	relation_lock(pipeline->row->target, AccessShareLock, pipeline->nested);
	rel = table_open(pipeline->row->target, NoLock);
	desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));

	pipeline->map = row_map_create(pipeline->topic, rel, pipeline->row->filter);
	stale_watch_parts(row_map_parts(pipeline->map));
	pipeline->chunk.rows = row_batch_create(desc, CHUNK_ROWS);
	pipeline->slots = slot_pool_create(desc, CHUNK_ROWS);
	table_close(rel, NoLock);
	return bms_copy(row_map_columns(pipeline->map));
}

/* Decoder, map and rows: needs the views' columns. */
static void
load_rows(Pipeline *pipeline, void *argument)
{
	MemoryContext before = MemoryContextSwitchTo(pipeline->context);
	Identity	identity = identity_become(pipeline->owner, NIL);
	Topic	   *topic = pipeline->topic;
	Bitmapset  *needed;

	relation_lock(topic->relid, AccessShareLock, pipeline->nested);
	if (pipeline_stores(pipeline))
		needed = load_target(pipeline);
	else
	{
		needed = views_columns(pipeline);
		pipeline->chunk.rows = row_batch_create(topic->desc, CHUNK_ROWS);
	}
	if (topic->event_time != 0)
		needed = bms_add_member(needed, topic->event_time);
	needed = bms_add_members(needed, decoder_required(topic));
	pipeline->decoder = decoder_create(topic, needed);
	identity_restore(identity);
	MemoryContextSwitchTo(before);
}

/* Runs one step of loading; an error ends the loading. */
static void
load_step(Pipeline *pipeline, UnitOfWork step, void *argument)
{
	ErrorData  *error = pipeline_unit(pipeline, step, argument, pipeline->retry);

	if (error != NULL)
		ReThrowError(error);
}

/* A consumer at the stored positions. */
static void
open_consumer(Pipeline *pipeline)
{
	MemoryContext before = MemoryContextSwitchTo(pipeline->context);
	const Topic *topic = pipeline->topic;
	KafkaPosition *positions = palloc(sizeof(KafkaPosition) * Max(pipeline->npartitions, 1));

	for (int i = 0; i < pipeline->npartitions; i++)
	{
		positions[i].partition = pipeline->partitions[i].committed.partition;
		positions[i].offset = pipeline->partitions[i].committed.next_offset;
	}
	pipeline->consumer = consumer_open_aligned(topic->name, topic->options, topic->noptions,
											   pipeline->npartitions);
	consumer_assign(pipeline->consumer, positions, pipeline->npartitions);
	pfree(positions);
	MemoryContextSwitchTo(before);
}

/* The struct and its contexts. */
static Pipeline *
make_pipeline(bool nested)
{
	MemoryContext context = AllocSetContextCreate(nested ? CurrentMemoryContext : TopMemoryContext,
												  "deltaflow pipeline", ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Pipeline   *pipeline = palloc0(sizeof(Pipeline));

	pipeline->context = context;
	pipeline->retry = AllocSetContextCreate(context, "deltaflow retry", ALLOCSET_SMALL_SIZES);
	pipeline->attempt_context = AllocSetContextCreate(context, "deltaflow attempt", ALLOCSET_DEFAULT_SIZES);
	pipeline->batch = batch_create(CHUNK_ROWS);
	pipeline->nested = nested;
	pipeline->limit = INT_MAX;
	pipeline->backoff.first_ms = BACKOFF_FIRST_MS;
	pipeline->backoff.most_ms = BACKOFF_MOST_MS;
	pipeline->definitions = stale_count();
	pipeline->attempt.record = pipeline->attempt.row = -1;
	MemoryContextSwitchTo(before);
	return pipeline;
}

/* Whether the row was made here, not in the database this is a copy of. */
static bool
is_at_home(const PipelineRow *row)
{
	return row->system_identifier == (int64) GetSystemIdentifier() && row->database_id == MyDatabaseId;
}

/* A copied database (restored, cloned) must not consume by itself. */
static void
pause_copy(Pipeline *pipeline)
{
	pipeline_pause(pipeline, STATE_PAUSED,
				   "this database is a copy of the one where it was created",
				   psprintf("If the original no longer runs, or this copy is to consume on its own: "
							"SELECT deltaflow.resume(%s).", quote_literal_cstr(pipeline->row->name)));
	pipeline->row->state = STATE_PAUSED;
}

Pipeline *
pipeline_open(int64 id, bool nested)
{
	Pipeline   *pipeline = make_pipeline(nested);

	load_step(pipeline, load_catalog, &id);
	if (pipeline->row == NULL)
	{
		pipeline_close(pipeline);
		return NULL;
	}
	if (pipeline->row->state == STATE_RUNNING && !is_at_home(pipeline->row))
		pause_copy(pipeline);
	if (pipeline->row->state != STATE_RUNNING)
		return pipeline;

	views_open(pipeline);
	load_step(pipeline, load_rows, NULL);
	open_consumer(pipeline);
	return pipeline;
}

/* Settings of a session that does nothing but run pipelines. */
static void
settle_worker(const Pipeline *pipeline)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"jit", "off"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", pipeline->options.synchronous_commit ? "on" : "off",
					PGC_USERSET, PGC_S_OVERRIDE);
}

Pipeline *
pipeline_load(int64 id)
{
	Pipeline   *pipeline = pipeline_open(id, false);

	if (pipeline != NULL)
		settle_worker(pipeline);
	return pipeline;
}

void
pipeline_close(Pipeline *pipeline)
{
	for (int i = 0; i < pipeline->nviews; i++)
		if (pipeline->views[i].live != NULL)
			live_view_close(pipeline->views[i].live);
	batch_destroy(pipeline->batch);
	if (pipeline->consumer != NULL)
		consumer_close(pipeline->consumer);
	if (pipeline->lookout != NULL)
		consumer_close(pipeline->lookout);
	if (pipeline->old_consumer != NULL)
		consumer_close(pipeline->old_consumer);
	if (pipeline->decoder != NULL)
		decoder_destroy(pipeline->decoder);
	stale_watch_nothing();
	MemoryContextDelete(pipeline->context);
}
