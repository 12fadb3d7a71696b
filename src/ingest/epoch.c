/*
 * epoch.c
 *		One epoch: records in, rows stored, views folded, positions moved, committed.
 *
 *	 Kafka --poll--> record --decode--> row --store--> target
 *						|                 |
 *						+-- dead letter <-+        row as stored
 *													  |
 *								 for each view:  late? fold --> state table
 *													  |
 *						 books, positions, epoch row, watermark --> COMMIT
 *
 * pipeline_attempt() reads like this figure.  It runs inside one transaction
 * (unit.c) that begins after something was polled and never waits: it takes what
 * the client library has at hand until the epoch's limits are reached or nothing is
 * left.  An error rolls all of it back; the records are still held, failure.c says
 * what the next attempt does differently.  A crash at any point leaves the
 * database as of the last commit, positions included.
 *
 * Locks: the pipeline's row first (compared with the epoch and generation loaded),
 * then the target and the views' state tables, none of which a worker waits for.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "compat.h"
#include "ingest/pipeline.h"
#include "ingest/relation.h"
#include "ingest/stale.h"
#include "stats/counters.h"
#include "view/lock.h"
#include "worker/settings.h"

#define POLL_RECORDS	CHUNK_ROWS
#define FILL_POLL_MS	20		/* between looks for old records of a view being filled */

/* Whether what was loaded is still what the catalog says. */
static bool
is_current(Pipeline *pipeline)
{
	PipelineRow *row = pipeline->row;

	return pipeline_begin_epoch(row->id, row->epoch, row->generation) &&
		pipeline->definitions == stale_count();
}

/*
 * Locks what the attempt writes.  DDL on it holds a lock that it may keep while it
 * waits for our row, so a worker does not wait: the attempt is over, and tried again.
 * run_once has these locks already.
 */
static void
lock_relations(Pipeline *pipeline)
{
	if (pipeline_stores(pipeline))
		relation_lock(pipeline->row->target, RowExclusiveLock, pipeline->nested);
	for (int i = 0; i < pipeline->nviews; i++)
		if (pipeline->views[i].live != NULL)
			relation_lock(pipeline->views[i].row->state_table, RowExclusiveLock, pipeline->nested);
}

/* Opens the target, locked already, as its owner; false when it is not as it was loaded. */
static bool
open_target(Pipeline *pipeline)
{
	Oid			relid = pipeline->row->target;
	Identity	before;

	if (!pipeline_stores(pipeline))
		return true;
	if (get_rel_name(relid) == NULL || relation_owner(relid) != pipeline->owner)
		return false;
	before = identity_become(pipeline->owner, NIL);
	pipeline->attempt.stage = STAGE_STORE;
	pipeline->target = target_begin(relid, pipeline->slots, row_map_volatile(pipeline->map));
	pipeline->attempt.stage = STAGE_NONE;
	identity_restore(before);
	return equalTupleDescs(target_columns(pipeline->target), pipeline->chunk.rows->desc);
}

/* Takes the pipeline for the next epoch; false when it must be loaded again. */
static bool
attempt_begin(Pipeline *pipeline)
{
	long		work_ms = epoch_work(setting_epoch_interval, pipeline_backlog_ms(pipeline));

	memset(&pipeline->attempt, 0, sizeof(Attempt));
	pipeline->attempt.work_ms = work_ms;
	pipeline->attempt.record = pipeline->attempt.row = -1;
	pipeline->attempt.began = GetCurrentTimestamp();
	pipeline->attempt.clock = clock_now();
	pipeline->target = NULL;
	pipeline->attempt.dead_rate = pipeline->dead_rate;
	progress_begin(pipeline);
	if (!pipeline->nested)
		target_nothing_deferred();
	pipeline->attempt.reload = true;
	if (!is_current(pipeline))
		return false;
	lock_relations(pipeline);
	if (!open_target(pipeline))
		return false;
	views_begin(pipeline);
	pipeline->attempt.reload = false;
	return true;
}

/* Records that this attempt may take. */
static int
records_allowed(const Pipeline *pipeline)
{
	int			allowed = Min(pipeline->limit, setting_epoch_max_records);

	return pipeline->limit_once > 0 ? Min(allowed, pipeline->limit_once) : allowed;
}

/* Whether the epoch should end although there may be more to read. */
static bool
is_full(const Pipeline *pipeline)
{
	return pipeline->batch->bytes >= (size_t) setting_epoch_max_bytes * 1024 ||
		TimestampDifferenceExceeds(pipeline->attempt.began, GetCurrentTimestamp(), pipeline->attempt.work_ms);
}

/* Takes what the client has at hand, up to max records; whether there was anything. */
static bool
poll_records(Pipeline *pipeline, int max)
{
	int			taken = consumer_poll(pipeline->consumer, pipeline->batch, max);

	pipeline->drained = taken < max;
	return taken > 0;
}

bool
pipeline_take_ahead(Pipeline *pipeline)
{
	const KafkaBatch *batch = pipeline->batch;
	int			room;

	do
	{
		room = records_allowed(pipeline) - batch->nrecords;
		if (room <= 0 || batch->bytes >= (size_t) setting_epoch_max_bytes * 1024)
			return false;
	} while (poll_records(pipeline, Min(room, POLL_RECORDS)) && !pipeline->drained);
	return true;
}

/*
 * Whether the attempt should poll once more.  A worker does not when the last poll
 * emptied the client's queue: what arrives meanwhile would come in ever smaller
 * pieces and keep what is at hand from being committed.
 */
static bool
should_poll(const Pipeline *pipeline)
{
	return pipeline->nested || !pipeline->drained;
}

/* The next records to work on: those held, then what can be polled without waiting. */
static bool
next_chunk(Pipeline *pipeline)
{
	KafkaBatch *batch = pipeline->batch;
	Attempt    *attempt = &pipeline->attempt;
	Chunk	   *chunk = &pipeline->chunk;
	int			allowed = records_allowed(pipeline) - attempt->taken;
	size_t		bytes = 0;

	if (attempt->too_many_dead)
		return false;
	attempt->full = allowed <= 0 || (attempt->taken == batch->nrecords && is_full(pipeline));
	if (attempt->full)
		return false;
	if (attempt->taken == batch->nrecords &&
		!(should_poll(pipeline) && poll_records(pipeline, Min(allowed, POLL_RECORDS))))
		return false;

	chunk->first = attempt->taken;
	chunk->count = 0;
	while (chunk->count < CHUNK_ROWS && chunk->count < allowed && bytes < CHUNK_BYTES &&
		   chunk->first + chunk->count < batch->nrecords)
		bytes += batch->records[chunk->first + chunk->count++].value_len;
	attempt->taken += chunk->count;
	return true;
}

/* Removes from the chunk the rows that did not get into the table, in the books too. */
static void
drop_unstored(Pipeline *pipeline, const RowFate *fates, const Refusal *refusals)
{
	RowBatch   *rows = pipeline->chunk.rows;
	int			kept = 0;

	for (int row = 0; row < rows->nrows; row++)
	{
		const KafkaRecord *record = rows->records[row];

		if (fates[row] == ROW_REFUSED)
			chunk_refuse(pipeline, record, &refusals[row], 1);
		else if (fates[row] == ROW_SKIPPED)
			pipeline_partition(pipeline, record->partition)->now.filtered++;
		else
		{
			if (kept < row)
			{
				memcpy(row_values(rows, kept), row_values(rows, row), rows->natts * sizeof(Datum));
				memcpy(row_isnull(rows, kept), row_isnull(rows, row), rows->natts * sizeof(bool));
				rows->records[kept] = record;
				pipeline->chunk.event_time[kept] = pipeline->chunk.event_time[row];
			}
			kept++;
		}
	}
	rows->nrows = kept;
}

/* Rows into the target. */
static void
store_chunk(Pipeline *pipeline)
{
	RowFate		fates[CHUNK_ROWS];
	Refusal		refusals[CHUNK_ROWS];

	if (pipeline->target != NULL && pipeline->chunk.rows->nrows > 0)
	{
		Identity	before = identity_become(pipeline->owner, NIL);

		pipeline->attempt.stage = STAGE_STORE;
		target_store(pipeline->target, pipeline->chunk.rows, fates, refusals, &pipeline->attempt.row);
		drop_unstored(pipeline, fates, refusals);
		pipeline->attempt.stage = STAGE_NONE;
		identity_restore(before);
	}
	progress_stored(pipeline);
}

/* One record that gave no row, with the reason, into the catalog. */
void
keep_dead_letter(Pipeline *pipeline, const DeadRecord *dead)
{
	DeadLetterOf of = {pipeline->row->id, dead->view != NULL ? dead->view->row->id : 0, pipeline->row->name, pipeline->topic->name};

	dead_letter_insert(&of, dead->record, &dead->why, dead->attempts);
}

/* Whether the chunk's record at that place is dead, for anybody; both lists are in the order of records. */
static bool
is_dead(const Chunk *chunk, const KafkaRecord *record, int *dead, int *dead_for_view)
{
	bool		found = *dead < chunk->ndead && chunk->dead[*dead].record == record;

	*dead += found;
	while (*dead_for_view < list_length(chunk->dead_for_views) &&
		   ((DeadRecord *) list_nth(chunk->dead_for_views, *dead_for_view))->record == record)
	{
		(*dead_for_view)++;
		found = true;
	}
	return found;
}

/* Looks after the share of dead letters: beyond the topic's limit the attempt takes no more. */
static void
count_dead(Pipeline *pipeline)
{
	const Topic *topic = pipeline->topic;
	Attempt    *attempt = &pipeline->attempt;
	int			dead = 0;
	int			dead_for_view = 0;

	if (topic->dead_limit == 0)
		return;
	if (pipeline->chunk.ndead == 0 && pipeline->chunk.dead_for_views == NIL && dead_rate_count(&attempt->dead_rate) == 0)
		return;					/* nothing to be diluted */
	for (int i = 0; i < pipeline->chunk.count; i++)
		dead_rate_add(&attempt->dead_rate, topic->dead_window,
					  is_dead(&pipeline->chunk, &pipeline->batch->records[pipeline->chunk.first + i], &dead, &dead_for_view));
	attempt->too_many_dead = dead_rate_count(&attempt->dead_rate) > topic->dead_limit;
}

/* Those of the chunk. */
static void
keep_dead_letters(Pipeline *pipeline)
{
	const Chunk *chunk = &pipeline->chunk;
	ListCell   *lc;

	if (pipeline->topic->on_error == ON_ERROR_SKIP)
		return;
	for (int i = 0; i < chunk->ndead; i++)
		keep_dead_letter(pipeline, &chunk->dead[i]);
	foreach(lc, chunk->dead_for_views)
		keep_dead_letter(pipeline, lfirst(lc));
	count_dead(pipeline);
}

/* AFTER triggers run now, as the owner; see target_nothing_deferred for those that would wait for the commit. */
static void
close_target(Pipeline *pipeline)
{
	Identity	before;

	if (pipeline->target == NULL)
		return;
	before = identity_become(pipeline->owner, NIL);
	pipeline->attempt.stage = STAGE_STORE;
	target_end(pipeline->target);
	pipeline->target = NULL;
	pipeline->attempt.stage = STAGE_NONE;
	identity_restore(before);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

/* The epoch, once: everything between BEGIN and COMMIT. */
static void
pipeline_attempt(Pipeline *pipeline, void *argument)
{
	if (!attempt_begin(pipeline))
		return;
	while (next_chunk(pipeline))
	{
		decode_chunk(pipeline);
		store_chunk(pipeline);
		views_fold(pipeline);
		keep_dead_letters(pipeline);
	}
	progress_ends(pipeline);
	close_target(pipeline);
	views_write(pipeline);
	progress_write(pipeline);
}

/* The transaction has committed: forget the records, and what failed attempts taught. */
static void
attempt_committed(Pipeline *pipeline)
{
	int			taken = pipeline->attempt.taken;

	progress_committed(pipeline);
	views_committed(pipeline);
	counters_epoch(taken, taken > 0 ? pipeline->batch->records[taken - 1].timestamp_ms : -1);
	batch_release(pipeline->batch, taken);
	backoff_succeeded(&pipeline->backoff);
	pipeline->troubled = false;
	pipeline->known_bad = NIL;
	pipeline->dead_rate = pipeline->attempt.dead_rate;
	MemoryContextReset(pipeline->retry);
	if (pipeline->limit_once == 0)
		pipeline->limit = pipeline->limit < setting_epoch_max_records / 2 ? pipeline->limit * 2 : INT_MAX;
	pipeline->limit_once = 0;
}

/* Most of what came last is dead: that is no matter of single records any more. */
static EpochOutcome
pause_dead(Pipeline *pipeline)
{
	const Topic *topic = pipeline->topic;

	pipeline_pause(pipeline, STATE_PAUSED,
				   psprintf("more than " INT64_FORMAT " of the last " INT64_FORMAT " records are dead letters",
							topic->dead_limit, topic->dead_window),
				   psprintf("See the reasons in deltaflow.dead_letters. Correct the columns or the format of the topic, "
							"or set its option dead_letter_limit, then SELECT deltaflow.resume(%s).",
							quote_literal_cstr(pipeline->row->name)));
	return EPOCH_PAUSED;
}

/* Attempts the next epoch. */
static EpochOutcome
try_epoch(Pipeline *pipeline)
{
	ErrorData  *error = pipeline_unit(pipeline, pipeline_attempt, NULL, pipeline->retry);

	MemoryContextReset(pipeline->attempt_context);
	pipeline->delay_ms = 0;
	if (error != NULL)
		return pipeline_failed(pipeline, error);
	if (pipeline->attempt.reload)
		return EPOCH_RELOAD;
	attempt_committed(pipeline);
	if (pipeline->attempt.too_many_dead)
		return pause_dead(pipeline);
	return EPOCH_COMMITTED;
}

/* Whether an end reached lies behind what is committed: control records, compaction. */
static bool
has_moving_end(Pipeline *pipeline)
{
	const KafkaBatch *batch = pipeline->batch;

	for (int i = 0; i < batch->nends; i++)
	{
		Partition  *partition = pipeline_partition(pipeline, batch->ends[i].partition);

		if (partition != NULL && batch->ends[i].next_offset > partition->committed.next_offset)
			return true;
	}
	return false;
}

/* With nothing to commit, ends only tell that partitions are at their end. */
static void
note_ends(Pipeline *pipeline)
{
	for (int i = 0; i < pipeline->batch->nends; i++)
	{
		Partition  *partition = pipeline_partition(pipeline, pipeline->batch->ends[i].partition);

		if (partition != NULL)
			partition->at_end = true;
	}
	batch_release(pipeline->batch, 0);
}

/* Whether an epoch without records would move the watermark: partitions have become idle, or the input is over. */
static bool
watermark_moves(Pipeline *pipeline)
{
	progress_begin(pipeline);
	return event_time_watermark(pipeline) > pipeline->row->watermark;
}

/*
 * Whether there is anything for an epoch to do; a worker polls when nothing is held.
 * run_once has polled: what came since is gathered first, or it would make an epoch
 * of its own.
 */
static bool
has_work(Pipeline *pipeline)
{
	bool		found = fill_has_work(pipeline);

	if (pipeline->batch->nrecords > 0 ||
		(!pipeline->nested && poll_records(pipeline, POLL_RECORDS)) ||
		has_moving_end(pipeline))
		return true;
	note_ends(pipeline);
	for (int i = 0; i < pipeline->nviews; i++)
		found |= pipeline->views[i].error != NULL || pipeline->views[i].expiring;
	return found || watermark_moves(pipeline);
}

EpochOutcome
pipeline_epoch(Pipeline *pipeline)
{
	KafkaFault	fault;
	EpochOutcome outcome = EPOCH_COMMITTED;

	if (pipeline->row->state != STATE_RUNNING)
		return EPOCH_PAUSED;
	if (GetCurrentTimestamp() >= pipeline->lookout_at)
	{
		KafkaRange *ranges;
		int			nranges;
		MemoryContext before = MemoryContextSwitchTo(pipeline->attempt_context);

		outcome = lookout_look(pipeline, &ranges, &nranges);
		MemoryContextSwitchTo(before);
	}
	if (outcome != EPOCH_COMMITTED)
		return outcome;
	event_time_look(pipeline);
	if (has_work(pipeline))
		return try_epoch(pipeline);

	do
	{
		fault = consumer_fault(pipeline->consumer);
		outcome = lookout_fault(pipeline, &fault);
	} while (fault.kind != KAFKA_NO_FAULT && outcome == EPOCH_COMMITTED);
	pipeline->delay_ms = fill_is_pending(pipeline) ? FILL_POLL_MS :
		TimestampDifferenceMilliseconds(GetCurrentTimestamp(), pipeline->lookout_at);
	pipeline->delay_ms = Min(pipeline->delay_ms, event_time_due_ms(pipeline));
	return outcome == EPOCH_COMMITTED ? EPOCH_IDLE : outcome;
}

bool
pipeline_is_stale(const Pipeline *pipeline)
{
	return pipeline->definitions != stale_count();
}

int
pipeline_wakeup_fd(Pipeline *pipeline)
{
	return pipeline->consumer != NULL ? consumer_wakeup_fd(pipeline->consumer) : -1;
}

void
pipeline_drain_wakeup(Pipeline *pipeline)
{
	if (pipeline->consumer != NULL)
		consumer_drain_wakeup(pipeline->consumer);
}

bool
pipeline_full(const Pipeline *pipeline)
{
	return pipeline->attempt.full ||
		(fill_is_pending(pipeline) && (pipeline_stores(pipeline) || pipeline->old_reader != NULL));
}

long
pipeline_backoff(const Pipeline *pipeline)
{
	return pipeline->delay_ms;
}

long
pipeline_backlog_ms(const Pipeline *pipeline)
{
	const Attempt *last = &pipeline->attempt;
	int64		waiting = 0;
	double		ms;

	for (int i = 0; i < pipeline->npartitions; i++)
	{
		const PositionRow *position = &pipeline->partitions[i].committed;

		waiting += Max(0, position->end_offset - position->next_offset);
	}
	if (waiting == 0 || last->taken == 0)
		return 0;
	ms = (double) waiting / last->taken * TimestampDifferenceMilliseconds(last->began, GetCurrentTimestamp());
	return (long) Min(ms, PG_INT32_MAX);
}
