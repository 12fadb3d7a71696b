/*
 * pipeline_worker.c
 *		One process per running pipeline: epoch after epoch.
 *
 *		look at the catalog when told to, or now and then
 *		load the pipeline when it is not loaded
 *		one epoch
 *		wait: for records, for the next epoch's time, or after a failure
 *
 * In: the pipeline's row, wake-ups by commits that changed it, the broker client's
 * descriptor.  Out: committed epochs.  What an epoch is, and what of it can fail,
 * is the business of ingest/; this loop knows only its five outcomes.
 *
 * Between rounds there is no transaction, no snapshot and no lock, however long
 * the wait.  A kill at any point leaves the last committed epoch; the successor
 * begins there.
 *
 * Errors that loading raises are retried here for ever when they are of the
 * server's or the broker's kind; any other ends the process, and the supervisor
 * counts.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "ingest/epoch.h"
#include "kafka/consumer.h"
#include "worker/backoff.h"
#include "worker/process.h"
#include "worker/settings.h"
#include "worker/slots.h"
#include "worker/wait.h"

PGDLLEXPORT void deltaflow_pipeline_main(Datum arg);

#define PROVEN_MS		10000	/* a worker that lived this long has not died at once */
#define PRUNE_MS		60000	/* between looks at the age of the epochs log */
#define PRUNE_EPOCHS	10000	/* removed in one transaction */
#define SECOND_LOOK_MS	200
#define FIRST_RETRY_MS	200
#define MOST_RETRY_MS	60000

typedef struct PipelineWorker
{
	int64		id;
	MemoryContext context;		/* parent of the loaded pipeline */
	Pipeline   *pipeline;		/* NULL: not loaded */
	int64		generation;		/* of the catalog when it was loaded */
	uint32		wakes;			/* seen at the last look */
	TimestampTz next_look;
	TimestampTz next_prune;
	int			retention;		/* that the last pruning went by */
	TimestampTz proven_at;		/* when the attempt is no longer counted */
	bool		proven;
	bool		committed;		/* an epoch, which takes the attempt back as well */
	Backoff		failures;
} PipelineWorker;

/* What the loop does next. */
typedef enum NextStep
{
	GO_ON,
	LEAVE
} NextStep;

/* Milliseconds until then, at least 0. */
static long
ms_until(TimestampTz then)
{
	TimestampTz now = GetCurrentTimestamp();

	return then <= now ? 0 : (long) ((then - now) / 1000) + 1;
}

static TimestampTz
ms_from_now(long ms)
{
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
}

static void
begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(TopMemoryContext);
}

static void
unload(PipelineWorker *worker)
{
	if (worker->pipeline != NULL)
		pipeline_close(worker->pipeline);
	worker->pipeline = NULL;
	MemoryContextReset(worker->context);
}

/* Reads the pipeline's row: unloads when it, or the way to the broker, has changed, leaves when it is not to run. */
static NextStep
look(PipelineWorker *worker)
{
	PipelineRow *row;
	bool		run;

	/* a commit wakes us a moment before its invalidations arrive: look twice */
	worker->next_look = ms_from_now(worker->wakes != slot_wakes() ? SECOND_LOOK_MS : setting_naptime * 1000L);
	worker->wakes = slot_wakes();

	begin();
	row = pipeline_by_id(worker->id);
	run = row != NULL && row->state == STATE_RUNNING;
	if (run && (row->generation != worker->generation ||
				(worker->pipeline != NULL && pipeline_is_stale(worker->pipeline))))
	{
		unload(worker);
		worker->generation = row->generation;
		backoff_succeeded(&worker->failures);
	}
	commit();
	return run ? GO_ON : LEAVE;
}

static bool
look_is_due(const PipelineWorker *worker)
{
	return slot_wakes() != worker->wakes || ms_until(worker->next_look) == 0;
}

/* Whether trying again can help although nobody changes anything in the database. */
static bool
is_transient(int sqlstate)
{
	static const int classes[] = {
		MAKE_SQLSTATE('0', '8', '0', '0', '0'), /* connection */
		MAKE_SQLSTATE('4', '0', '0', '0', '0'), /* deadlock, serialization */
		MAKE_SQLSTATE('5', '3', '0', '0', '0'), /* disk, memory, connections */
		MAKE_SQLSTATE('5', '5', '0', '0', '0'), /* locks */
		MAKE_SQLSTATE('5', '7', '0', '0', '0'), /* operator's intervention */
		MAKE_SQLSTATE('5', '8', '0', '0', '0'), /* system */
		MAKE_SQLSTATE('H', 'V', '0', '0', '0'), /* broker */
	};

	for (int i = 0; i < lengthof(classes); i++)
		if (ERRCODE_TO_CATEGORY(sqlstate) == classes[i])
			return true;
	return false;
}

/* Notes in the catalog what stands in the way. */
static void
tell_trouble(const PipelineWorker *worker, const ErrorData *error)
{
	begin();
	pipeline_set_trouble(worker->id, error->message, error->hint);
	commit();
}

/*
 * After a caught error: reports it, cleans up, and returns how long to wait before
 * another attempt.  Does not return when another attempt would not help.
 */
static long
recover(PipelineWorker *worker)
{
	ErrorData  *error;
	long		delay;
	bool		busy;
	bool		quiet;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(TopMemoryContext);
	error = CopyErrorData();
	delay = backoff_failed(&worker->failures);
	busy = error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
	quiet = busy && !backoff_lock_is_news(&worker->failures);
	if (!quiet)
		EmitErrorReport();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
	RESUME_INTERRUPTS();

	if (!quiet)
		tell_trouble(worker, error);
	if (!is_transient(error->sqlerrcode))
		proc_exit(1);
	FreeErrorData(error);
	return busy ? backoff_for_lock(&worker->failures) : delay;
}

/* Loads the pipeline; 0, or how long to wait before the next attempt. */
static long
load(PipelineWorker *worker, NextStep *next)
{
	long		delay = 0;

	PG_TRY();
	{
		MemoryContextSwitchTo(worker->context);
		worker->pipeline = pipeline_load(worker->id);
		MemoryContextSwitchTo(TopMemoryContext);
		if (worker->pipeline == NULL)
			*next = LEAVE;
	}
	PG_CATCH();
	{
		worker->pipeline = NULL;
		delay = recover(worker);
		MemoryContextReset(worker->context);
	}
	PG_END_TRY();
	if (delay == 0)
		backoff_succeeded(&worker->failures);
	return delay;
}

/* Takes back the attempt of a worker that has come to something. */
static void
prove(PipelineWorker *worker)
{
	if (worker->proven)
		return;
	if (!worker->committed)
	{
		begin();
		pipeline_clear_attempts(worker->id);
		commit();
	}
	worker->proven = true;
}

/* Removes rows of the epochs log that are old enough; a bounded number at a time. */
static void
prune(PipelineWorker *worker)
{
	uint64		removed;

	worker->next_prune = ms_from_now(PRUNE_MS);
	worker->retention = setting_epoch_retention;
	if (worker->retention < 0)
		return;
	begin();
	removed = epoch_prune_before(worker->id,
								 GetCurrentTimestamp() - worker->retention * USECS_PER_MINUTE,
								 PRUNE_EPOCHS);
	commit();
	if (removed >= PRUNE_EPOCHS)
		worker->next_prune = 0;
}

/* What is to be done now and then, apart from epochs. */
static void
do_chores(PipelineWorker *worker)
{
	if (!worker->proven && (worker->committed || ms_until(worker->proven_at) == 0))
	{
		worker->proven_at = ms_from_now(PROVEN_MS); /* should this attempt fail */
		prove(worker);
	}
	if (ms_until(worker->next_prune) == 0 || worker->retention != setting_epoch_retention)
		prune(worker);
}

/*
 * The same, and an error that trying again can help waits for the next time: a session
 * may hold the pipeline's row for as long as its transaction takes.
 */
static void
keep_house(PipelineWorker *worker)
{
	PG_TRY();
	{
		do_chores(worker);
	}
	PG_CATCH();
	{
		int			sqlstate = geterrcode();

		if (!is_transient(sqlstate))
			PG_RE_THROW();
		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(TopMemoryContext);
		if (sqlstate != ERRCODE_LOCK_NOT_AVAILABLE)
			EmitErrorReport();
		FlushErrorState();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
}

/* Waits for records, or until something else is due. */
static void
wait_for_records(PipelineWorker *worker)
{
	long		ms = Min(pipeline_backoff(worker->pipeline), ms_until(worker->next_look));
	int			woken;

	if (!worker->proven)
		ms = Min(ms, ms_until(worker->proven_at));
	process_activity(false, NULL);
	woken = wait_for(pipeline_wakeup_fd(worker->pipeline), ms, WAIT_FOR_RECORDS);
	if (woken & WAIT_READABLE)
		pipeline_drain_wakeup(worker->pipeline);
}

/* Waits until the next epoch is worth its commit, given how long the last one worked. */
static void
wait_for_more(PipelineWorker *worker, instr_time started)
{
	instr_time	worked;
	long		gap;

	process_statistics();
	if (pipeline_full(worker->pipeline))
		return;
	INSTR_TIME_SET_CURRENT(worked);
	INSTR_TIME_SUBTRACT(worked, started);
	gap = epoch_gap((long) INSTR_TIME_GET_MICROSEC(worked), setting_epoch_interval,
					pipeline_backlog_ms(worker->pipeline));
	if (gap > 0)
		wait_for(-1, gap, WAIT_FOR_RECORDS);
}

/* One epoch and the wait that its outcome asks for. */
static NextStep
epoch(PipelineWorker *worker)
{
	instr_time	started;

	INSTR_TIME_SET_CURRENT(started);
	process_activity(true, "epoch");
	switch (pipeline_epoch(worker->pipeline))
	{
		case EPOCH_COMMITTED:
			worker->committed = true;
			commit_broadcast();
			wait_for_more(worker, started);
			return GO_ON;
		case EPOCH_IDLE:
			wait_for_records(worker);
			return GO_ON;
		case EPOCH_RELOAD:
			unload(worker);
			return look(worker);
		case EPOCH_AGAIN:
			process_activity(false, NULL);
			wait_for(-1, pipeline_backoff(worker->pipeline), WAIT_FOR_BACKOFF);
			return GO_ON;
		case EPOCH_PAUSED:
			return LEAVE;
	}
	pg_unreachable();
}

/*
 * Whether threads of the broker client run on that nobody can stop any more: memory and
 * processor time are lost with them until the process ends, so it makes way for another.
 */
static bool
is_worn_out(void)
{
	if (kafka_clients_left_behind() == 0)
		return false;
	ereport(LOG,
			(errmsg("%s is started again: a Kafka client of it could not be stopped", MyBgworkerEntry->bgw_name)));
	return true;
}

/* One round of the loop. */
static NextStep
pipeline_round(PipelineWorker *worker)
{
	NextStep	next = GO_ON;

	if (!setting_enabled || is_worn_out())
		return LEAVE;
	if (look_is_due(worker))
		next = look(worker);
	if (next == GO_ON)
		keep_house(worker);
	if (next == GO_ON && worker->pipeline == NULL)
	{
		long		delay = load(worker, &next);

		if (delay > 0)
		{
			process_activity(false, NULL);
			wait_for(-1, delay, WAIT_FOR_BACKOFF);
			return GO_ON;
		}
	}
	return next == GO_ON ? epoch(worker) : LEAVE;
}

/* Counts this attempt and reads the row for the first time. */
static NextStep
start(PipelineWorker *worker)
{
	worker->failures.first_ms = FIRST_RETRY_MS;
	worker->failures.most_ms = MOST_RETRY_MS;
	worker->generation = -1;
	worker->context = AllocSetContextCreate(TopMemoryContext, "deltaflow pipeline",
											ALLOCSET_DEFAULT_SIZES);
	worker->proven_at = ms_from_now(PROVEN_MS);
	worker->next_prune = ms_from_now(PRUNE_MS);
	worker->retention = setting_epoch_retention;
	begin();
	pipeline_count_attempt(worker->id);
	commit();
	return look(worker);
}

/*
 * Leaves in good order.  A stop request is put aside for as long as the attempt is
 * taken back; should another come meanwhile, it is obeyed at once.
 */
static void
leave(PipelineWorker *worker)
{
	bool		told = ProcDiePending;

	ProcDiePending = false;
	unload(worker);
	if (!worker->committed)
		prove(worker);
	ereport(LOG, (errmsg("%s stopped", MyBgworkerEntry->bgw_name)));
	ProcDiePending |= told;
	proc_exit(0);
}

void
deltaflow_pipeline_main(Datum arg)
{
	PipelineWorker worker = {0};
	NextStep	next;

	process_begin();
	worker.id = process_connect().pipeline;
	MemoryContextSwitchTo(TopMemoryContext);
	ereport(LOG, (errmsg("%s started", MyBgworkerEntry->bgw_name)));

	next = start(&worker);
	while (next == GO_ON && !ProcDiePending)
	{
		process_interrupts();
		next = pipeline_round(&worker);
	}
	leave(&worker);
}
