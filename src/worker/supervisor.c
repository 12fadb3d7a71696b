/*
 * supervisor.c
 *		One process per database that has pipelines: keeps their workers running.
 *
 * In: table deltaflow.pipeline, the slots of this database, wake-ups by commits
 * and by workers that ended.  Out: one worker per running pipeline.
 *
 * A worker that ends is started again: at once the first time, then after delays
 * that double; a pipeline whose workers have died MAX_ATTEMPTS times in a row
 * without committing an epoch is paused, with the reason in the catalog.  Workers
 * stop by themselves when their pipeline is paused or gone.
 *
 * Pipelines made elsewhere (a restored dump, a copied database, a clone of the
 * cluster) do not start by themselves: two servers consuming for the same purpose
 * is what the owner of neither wants.  They are paused with a hint.
 *
 * Leaves when there is nothing to run, so that an idle database has no connection;
 * the decision is atomic with wake-ups.  Holds no lock and no snapshot between
 * rounds.  If it dies, its successor finds the workers in their slots.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "worker/backoff.h"
#include "worker/process.h"
#include "worker/settings.h"
#include "worker/slots.h"
#include "worker/wait.h"

PGDLLEXPORT void deltaflow_supervisor_main(Datum arg);

#define MAX_ATTEMPTS	5
#define FIRST_RETRY_MS	2000
#define MOST_RETRY_MS	60000
#define AGAIN_MS		200		/* before a worker that left of its own will is started again */
#define STOPPED_MS		1000	/* the same for one that was told to stop, or died for the first time */
#define NO_ROOM_MS		10000	/* before asking again for a background worker */
#define COMPLAIN_MS		300000	/* between messages about the same lack */

/* A process we started, until the postmaster says that it is gone. */
typedef struct StartedWorker
{
	SlotClaim	claim;
	BackgroundWorkerHandle *handle;
} StartedWorker;

typedef struct Supervisor
{
	Oid			database;
	List	   *started;		/* of StartedWorker */
	MemoryContext round_context;
	SlotView   *slots;			/* of this database, as of this round */
	int			nslots;
	long		wait_ms;		/* until the next round */
	bool		work;			/* some pipeline should be running, or a worker still is */
	TimestampTz began;
	bool		warned_skew;
	TimestampTz complained;		/* when the log was last told that there is no room */
} Supervisor;

/* Version of the extension installed in this database, NULL when it is not. */
static char *
installed_version(void)
{
	char	   *version = NULL;

	if (!OidIsValid(get_extension_oid("deltaflow", true)))
		return NULL;
	SPI_connect();
	if (SPI_execute("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'deltaflow'",
					true, 1) == SPI_OK_SELECT && SPI_processed == 1)
		version = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (version != NULL)
	{
		char	   *copy = SPI_palloc(strlen(version) + 1);

		version = strcpy(copy, version);
	}
	SPI_finish();
	return version;
}

/* Whether this library can work with what is installed here. */
static bool
extension_usable(Supervisor *supervisor)
{
	char	   *version = installed_version();

	if (version == NULL)
		return false;
	if (strcmp(version, DELTAFLOW_VERSION) == 0)
		return true;
	if (!supervisor->warned_skew)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("deltaflow's library is of version %s, but the extension in this database is of version %s",
						DELTAFLOW_VERSION, version),
				 errhint("Run ALTER EXTENSION deltaflow UPDATE, or restart the server so that it loads the new library.")));
	supervisor->warned_skew = true;
	return false;
}

/* Pauses a pipeline that was made in another database or server. */
static void
fence(PipelineRow *row)
{
	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("pipeline \"%s\" was made in another database or server and is paused", row->name),
			 errhint("If it is to run here, call deltaflow.resume('%s'), or deltaflow.resume_all().", row->name)));
	pipeline_set_state(row->id, STATE_PAUSED,
					   "this database is a copy: the pipeline was made in another database or server",
					   psprintf("If it is to run here, call deltaflow.resume('%s'), or deltaflow.resume_all().",
								row->name));
	row->state = STATE_PAUSED;
}

/* Pauses a pipeline whose workers keep dying. */
static void
give_up(PipelineRow *row, int attempts)
{
	char	   *error = psprintf("its worker died %d times in a row%s%s", attempts,
								 row->last_error != NULL ? ": " : "",
								 row->last_error != NULL ? row->last_error : "");

	ereport(WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("pipeline \"%s\" is paused: %s", row->name, error),
			 errhint("See the server log, then call deltaflow.resume('%s').", row->name)));
	pipeline_set_state(row->id, STATE_PAUSED, error,
					   psprintf("See the server log for the reason, then call deltaflow.resume('%s').", row->name));
	row->state = STATE_PAUSED;
}

/* The slot of a pipeline as of this round, NULL when it has none. */
static const SlotView *
slot_of(const Supervisor *supervisor, int64 pipeline)
{
	for (int i = 0; i < supervisor->nslots; i++)
		if (supervisor->slots[i].pipeline == pipeline)
			return &supervisor->slots[i];
	return NULL;
}

static void
wait_at_most(Supervisor *supervisor, long ms)
{
	supervisor->wait_ms = Min(supervisor->wait_ms, Max(ms, 1));
}

/*
 * When a worker may be started again, from how the last one ended.  Without a slot
 * there was none in this server's life; attempts then tell of crashes before it.
 */
static TimestampTz
earliest_start(const Supervisor *supervisor, const SlotView *slot, int attempts)
{
	Backoff		backoff = {.failures = attempts - 1, .first_ms = FIRST_RETRY_MS, .most_ms = MOST_RETRY_MS};
	long		delay = 0;

	if (slot == NULL)
		return TimestampTzPlusMilliseconds(supervisor->began, backoff_delay(&backoff));
	switch (slot->outcome)
	{
		case ENDED_WELL:
			delay = AGAIN_MS;
			break;
		case ENDED_STOPPED:
			delay = STOPPED_MS;
			break;
		case ENDED_FAILED:
			delay = Max(STOPPED_MS, backoff_delay(&backoff));
			break;
		case ENDED_NO_ROOM:
			delay = NO_ROOM_MS;
			break;
	}
	return TimestampTzPlusMilliseconds(slot->since, delay);
}

/* Tells the log, now and then, why a worker does not start. */
static void
complain(Supervisor *supervisor, const PipelineRow *row, const char *lack, const char *setting)
{
	if (!TimestampDifferenceExceeds(supervisor->complained, GetCurrentTimestamp(), COMPLAIN_MS))
		return;
	supervisor->complained = GetCurrentTimestamp();
	ereport(LOG,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("could not start a worker for pipeline \"%s\"", row->name),
			 errdetail_internal("%s", lack),
			 errhint("Raise %s and restart the server.", setting)));
}

/* Starts the process for a claimed slot; what is remembered of it lives until review_started. */
static void
start_process(Supervisor *supervisor, const PipelineRow *row, const WorkerArgs *args)
{
	MemoryContext own = MemoryContextSwitchTo(TopMemoryContext);
	StartedWorker *started = palloc0(sizeof(StartedWorker));
	char		name[BGW_MAXLEN];

	started->claim = args->claim;
	snprintf(name, sizeof(name), "deltaflow pipeline %s", row->name);
	if (process_start("deltaflow_pipeline_main", "deltaflow pipeline", name, args, &started->handle))
		supervisor->started = lappend(supervisor->started, started);
	else
	{
		pfree(started);
		slot_end(args->claim, ENDED_NO_ROOM);
		complain(supervisor, row, "The server has no background worker left.", "max_worker_processes");
	}
	MemoryContextSwitchTo(own);
}

/* Starts the pipeline's worker, or finds that there is no room for it. */
static void
start_worker(Supervisor *supervisor, const PipelineRow *row)
{
	WorkerArgs	args = {
		.claim = slot_claim(supervisor->database, row->id),
		.database = supervisor->database,
		.pipeline = row->id
	};

	wait_at_most(supervisor, NO_ROOM_MS);
	if (args.claim.index >= 0)
		start_process(supervisor, row, &args);
	else if (!database_is_held(supervisor->database))
		complain(supervisor, row, "All slots for deltaflow's workers are taken.", "deltaflow.max_workers");
}

/* Does for one running pipeline what is to be done now. */
static void
supervise_pipeline(Supervisor *supervisor, PipelineRow *row)
{
	const SlotView *slot = slot_of(supervisor, row->id);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz start;
	int			attempts;

	supervisor->work = true;
	if (slot != NULL && slot->phase != SLOT_ENDED)
		return;

	attempts = pipeline_attempts(row->id);
	if (attempts >= MAX_ATTEMPTS)
	{
		give_up(row, attempts);
		return;
	}
	start = earliest_start(supervisor, slot, attempts);
	if (start > now)
		wait_at_most(supervisor, (start - now) / 1000 + 1);
	else
		start_worker(supervisor, row);
}

/* Processes that the postmaster could not start leave their slots to us; those that ended left them themselves. */
static void
review_started(Supervisor *supervisor)
{
	ListCell   *lc;

	foreach(lc, supervisor->started)
	{
		StartedWorker *started = lfirst(lc);
		pid_t		pid;

		if (GetBackgroundWorkerPid(started->handle, &pid) != BGWH_STOPPED)
			continue;
		slot_end(started->claim, ENDED_FAILED);
		supervisor->started = foreach_delete_current(supervisor->started, lc);
		pfree(started->handle);
		pfree(started);
	}
}

/* Gives back the slots of pipelines that are not to run. */
static void
free_slots(Supervisor *supervisor, List *rows)
{
	for (int i = 0; i < supervisor->nslots; i++)
	{
		const SlotView *slot = &supervisor->slots[i];
		bool		wanted = false;
		ListCell   *lc;

		if (slot->pipeline == 0)
			continue;
		foreach(lc, rows)
		{
			const PipelineRow *row = lfirst(lc);

			wanted |= row->id == slot->pipeline && row->state == STATE_RUNNING;
		}
		if (slot->phase != SLOT_ENDED)
			supervisor->work = true;
		else if (!wanted)
			slot_free(slot->index);
	}
}

/* Reads the catalog and acts on it, in one transaction. */
static void
supervise(Supervisor *supervisor)
{
	List	   *rows;
	ListCell   *lc;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(supervisor->round_context);
	rows = extension_usable(supervisor) ? pipeline_list() : NIL;
	foreach(lc, rows)
	{
		PipelineRow *row = lfirst(lc);

		if (row->state == STATE_RUNNING &&
			(row->system_identifier != (int64) GetSystemIdentifier() || row->database_id != MyDatabaseId))
			fence(row);
		if (row->state == STATE_RUNNING && setting_enabled)
			supervise_pipeline(supervisor, row);
	}
	free_slots(supervisor, rows);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* One round: false when there is nothing to do here. */
static bool
supervisor_round(Supervisor *supervisor)
{
	MemoryContext own = MemoryContextSwitchTo(supervisor->round_context);

	supervisor->work = false;
	supervisor->wait_ms = setting_naptime * 1000L;
	review_started(supervisor);
	supervisor->slots = palloc(setting_max_workers * sizeof(SlotView));
	supervisor->nslots = slots_look(supervisor->database, supervisor->slots, setting_max_workers);
	supervise(supervisor);
	MemoryContextSwitchTo(own);
	MemoryContextReset(supervisor->round_context);
	return supervisor->work;
}

void
deltaflow_supervisor_main(Datum arg)
{
	Supervisor	supervisor = {0};

	process_begin();
	supervisor.database = process_connect().database;
	supervisor.began = GetCurrentTimestamp();
	supervisor.round_context = AllocSetContextCreate(TopMemoryContext, "deltaflow supervisor round",
													 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(TopMemoryContext);

	for (;;)
	{
		uint32		wakes;

		process_interrupts();
		wakes = slot_wakes();
		process_activity(true, "looking after pipelines");
		if (supervisor_round(&supervisor))
			slot_settle();
		else if (slot_leave(wakes))
			proc_exit(0);
		else
			continue;
		process_activity(false, NULL);
		wait_for(-1, supervisor.wait_ms, WAIT_FOR_WORKERS);
	}
}
