/*
 * run_once.c
 *		What the topic holds now, in the caller's own transaction.
 *
 * The same epochs as a worker's, each in a subtransaction, so a bad record costs
 * what it costs there and no more; infrastructure errors are the caller's.  All
 * relations are locked, as DDL locks them, and then the pipeline's row: a running
 * worker waits, and then loads again.
 * "Now" is the end of each partition when the call began.  What lies below it is
 * gathered from all partitions before an epoch begins, as far as it fits into one.
 *
 * Of an input that is over, the last epoch moves the watermark to infinity: every
 * window is final, and rows that come after all are late.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ingest/pipeline.h"
#include "view/lock.h"
#include "worker/settings.h"
#include "worker/wait.h"

#define PATIENCE_MS		30000	/* without a record before the broker counts as silent */
#define STEP_MS			500

/* How far to read. */
typedef struct Goal
{
	KafkaRange *ranges;			/* NULL: not asked yet */
	int			n;
} Goal;

/* Whether everything below the goal is committed. */
static bool
is_reached(Pipeline *pipeline, const Goal *goal)
{
	for (int i = 0; i < goal->n; i++)
	{
		Partition  *partition = pipeline_partition(pipeline, goal->ranges[i].partition);

		if (partition != NULL && partition->committed.next_offset < goal->ranges[i].high)
			return false;
	}
	return !fill_is_pending(pipeline);
}

/* Waits for the broker; ERROR when it has been silent for too long. */
static void
wait_for_records(Pipeline *pipeline, TimestampTz since)
{
	(void) wait_for(pipeline_wakeup_fd(pipeline), Min(pipeline_backoff(pipeline), STEP_MS), WAIT_FOR_BROKER);
	CHECK_FOR_INTERRUPTS();
	pipeline_drain_wakeup(pipeline);
	if (TimestampDifferenceExceeds(since, GetCurrentTimestamp(), PATIENCE_MS))
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the broker sent nothing for %d seconds", PATIENCE_MS / 1000),
				 errdetail("Topic \"%s\" holds records that were not received.", pipeline->topic->name),
				 errhint("Check the broker; what was taken before is not lost.")));
}

/* Where each partition will be when the batch is committed, by its place in the pipeline; *seen of its records are in it. */
static void
note_held(Pipeline *pipeline, int64 *next, int *seen)
{
	const KafkaBatch *batch = pipeline->batch;
	Partition  *partition;

	for (; *seen < batch->nrecords; (*seen)++)
		if ((partition = pipeline_partition(pipeline, batch->records[*seen].partition)) != NULL)
			next[partition - pipeline->partitions] = batch->records[*seen].offset + 1;
	for (int i = 0; i < batch->nends; i++)
		if ((partition = pipeline_partition(pipeline, batch->ends[i].partition)) != NULL)
			next[partition - pipeline->partitions] = Max(next[partition - pipeline->partitions], batch->ends[i].next_offset);
}

/* Whether the batch holds everything below the goal. */
static bool
holds_all(Pipeline *pipeline, const Goal *goal, const int64 *next)
{
	for (int i = 0; i < goal->n; i++)
	{
		Partition  *partition = pipeline_partition(pipeline, goal->ranges[i].partition);

		if (partition != NULL && next[partition - pipeline->partitions] < goal->ranges[i].high)
			return false;
	}
	return true;
}

/*
 * The client fetches partitions at its own pace, and piece by piece: there are records
 * of some when others, known to have some too, have given none.  These are waited for,
 * an epoch's interval at most, so that what fits into one epoch is taken in one.
 */
static void
gather(Pipeline *pipeline, const Goal *goal)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), setting_epoch_interval);
	int64	   *next = palloc(Max(pipeline->npartitions, 1) * sizeof(int64));
	int			seen = 0;

	for (int i = 0; i < pipeline->npartitions; i++)
		next[i] = pipeline->partitions[i].committed.next_offset;
	while (pipeline_take_ahead(pipeline) && pipeline->batch->nrecords > 0)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		note_held(pipeline, next, &seen);
		if (left <= 0 || holds_all(pipeline, goal, next))
			break;
		(void) wait_for(pipeline_wakeup_fd(pipeline), left, WAIT_FOR_BROKER);
		CHECK_FOR_INTERRUPTS();
		pipeline_drain_wakeup(pipeline);
	}
	pfree(next);
}

/* Epochs until the goal is reached, the pipeline pauses, or must be loaded again. */
static EpochOutcome
run_to_goal(Pipeline *pipeline, const Goal *goal)
{
	TimestampTz heard = GetCurrentTimestamp();

	for (;;)
	{
		EpochOutcome outcome;

		gather(pipeline, goal);
		outcome = pipeline_epoch(pipeline);
		CHECK_FOR_INTERRUPTS();
		if (outcome == EPOCH_RELOAD || outcome == EPOCH_PAUSED)
			return outcome;
		if (outcome == EPOCH_IDLE)
		{
			if (is_reached(pipeline, goal))
				return outcome;
			wait_for_records(pipeline, heard);
		}
		else
			heard = GetCurrentTimestamp();
	}
}

/* Moves the watermark to infinity. */
static EpochOutcome
close_windows(Pipeline *pipeline)
{
	EpochOutcome outcome = EPOCH_IDLE;

	if (pipeline->topic->event_time == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" has no event time", get_rel_name(pipeline->topic->relid)),
				 errdetail("Without one there is no watermark, and no window to close."),
				 errhint("Leave out close_windows.")));
	pipeline->closing = true;
	while (pipeline->row->watermark != DT_NOEND)
	{
		outcome = pipeline_epoch(pipeline);
		CHECK_FOR_INTERRUPTS();
		if (outcome == EPOCH_RELOAD || outcome == EPOCH_PAUSED)
			break;
	}
	return outcome;
}

/* Loads the pipeline and runs it; the goal is settled at the first time. */
static EpochOutcome
run_loaded(int64 id, bool closing, Goal *goal, int64 *taken)
{
	Pipeline   *pipeline = pipeline_open(id, true);
	EpochOutcome outcome = EPOCH_COMMITTED;

	if (pipeline == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the ingest does not exist any more")));
	if (pipeline->row->state != STATE_RUNNING)
		outcome = EPOCH_PAUSED;
	else
	{
		KafkaRange *ranges;
		int			n;

		outcome = lookout_look(pipeline, &ranges, &n);
		if (goal->ranges == NULL)
			*goal = (Goal) {ranges, n};
	}
	if (outcome == EPOCH_COMMITTED)
		outcome = run_to_goal(pipeline, goal);
	if (outcome == EPOCH_IDLE && closing)
		outcome = close_windows(pipeline);
	*taken += pipeline->taken;
	pipeline_close(pipeline);
	return outcome;
}

/* A paused pipeline says why, and what to do. */
static void
check_running(const PipelineRow *row)
{
	if (row->state == STATE_RUNNING)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("\"%s\" is paused", row->name),
			 row->last_error != NULL ? errdetail_internal("%s", row->last_error) : 0,
			 row->hint != NULL ? errhint("%s", row->hint) :
			 errhint("SELECT deltaflow.resume(%s).", quote_literal_cstr(row->name))));
}

/* Locks what the epochs will read and write, waiting as long as it takes: before the row, as view/lock.c says. */
static void
lock_relations(int64 id)
{
	PipelineRow *row = pipeline_by_id(id);
	ListCell   *lc;

	if (row == NULL)
		return;
	foreach(lc, view_list(id))
		(void) view_lock(lfirst(lc), RowExclusiveLock, true);
	LockRelationOid(row->topic, AccessShareLock);
	if (OidIsValid(row->target))
		LockRelationOid(row->target, RowExclusiveLock);
}

int64
pipeline_run_once(int64 id, bool closing)
{
	PipelineRow *row;
	Goal		goal = {0};
	int64		taken = 0;

	lock_relations(id);
	row = pipeline_lock(id);
	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the ingest does not exist any more")));
	check_running(row);
	target_nothing_deferred();
	while (run_loaded(id, closing, &goal, &taken) == EPOCH_RELOAD)
		CHECK_FOR_INTERRUPTS();
	return taken;
}
