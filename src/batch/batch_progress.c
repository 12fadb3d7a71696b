/*
 * batch_progress.c
 *		How far batch work has come, for others to see in deltaflow.progress.
 *
 * A running batch takes a slot in shared memory.  The rows it reads are counted by
 * deltaflow.scan_tick(), a condition that is always true and that the batch's query
 * carries; it adds to the slot once every TICKS_PER_UPDATE rows, in parallel workers
 * to their leader's slot, so that counting costs nothing to speak of.
 *
 * Slots are owned by the process whose pid they carry and are freed at transaction
 * end, whatever way it ends.  Only taking and freeing needs the spinlock; readers
 * may see a row count that is a moment old.  Without shared_preload_libraries there
 * is no shared memory, and nothing is reported.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "batch/batch_progress.h"

#define PROGRESS_SLOTS 64
#define TICKS_PER_UPDATE 4096

typedef struct ProgressSlot
{
	int			pid;			/* 0: free */
	Oid			database;
	Oid			view;
	char		command[16];
	BatchPhase	phase;
	double		rows_total;
	TimestampTz started_at;
	pg_atomic_uint64 rows_read;
} ProgressSlot;

typedef struct ProgressShared
{
	slock_t		lock;			/* over taking and freeing slots */
	ProgressSlot slots[PROGRESS_SLOTS];
} ProgressShared;

static ProgressShared *shared = NULL;
static ProgressSlot *my_slot = NULL;
static int	unreported_ticks = 0;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

PG_FUNCTION_INFO_V1(deltaflow_scan_tick);
PG_FUNCTION_INFO_V1(deltaflow_progress_slots);

static const char *const phase_names[] = {
	[PHASE_READING] = "reading the source",
	[PHASE_WRITING] = "replacing the range",
};

static void
progress_request(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(ProgressShared)));
}

static void
progress_startup(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("deltaflow batch progress", sizeof(ProgressShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(ProgressShared));
		SpinLockInit(&shared->lock);
		for (int i = 0; i < PROGRESS_SLOTS; i++)
			pg_atomic_init_u64(&shared->slots[i].rows_read, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

/* Whatever way a transaction ends, its batch is over. */
static void
progress_xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		batch_progress_end();
}

/* A process that dies inside its transaction frees its slot, too. */
static void
progress_exit_callback(int code, Datum arg)
{
	batch_progress_end();
}

void
batch_progress_init(void)
{
	RegisterXactCallback(progress_xact_callback, NULL);
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = progress_request;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = progress_startup;
}

void
batch_progress_begin(const char *command, Oid view, double rows_total)
{
	static bool exit_callback_registered = false;

	if (shared == NULL)
		return;
	if (!exit_callback_registered)
		before_shmem_exit(progress_exit_callback, 0);
	exit_callback_registered = true;
	batch_progress_end();

	SpinLockAcquire(&shared->lock);
	for (int i = 0; i < PROGRESS_SLOTS && my_slot == NULL; i++)
	{
		if (shared->slots[i].pid != 0)
			continue;
		my_slot = &shared->slots[i];
		my_slot->pid = MyProcPid;
	}
	SpinLockRelease(&shared->lock);
	if (my_slot == NULL)
		return;					/* all taken: this one is not shown */
	my_slot->database = MyDatabaseId;
	my_slot->view = view;
	strlcpy(my_slot->command, command, sizeof(my_slot->command));
	my_slot->phase = PHASE_READING;
	my_slot->rows_total = rows_total;
	my_slot->started_at = GetCurrentTimestamp();
	pg_atomic_write_u64(&my_slot->rows_read, 0);
	unreported_ticks = 0;
}

void
batch_progress_phase(BatchPhase phase)
{
	if (my_slot != NULL)
		my_slot->phase = phase;
}

void
batch_progress_end(void)
{
	if (my_slot == NULL || my_slot->pid != MyProcPid)
	{
		my_slot = NULL;			/* a parallel worker's borrowed one */
		return;
	}
	SpinLockAcquire(&shared->lock);
	my_slot->pid = 0;
	SpinLockRelease(&shared->lock);
	my_slot = NULL;
}

/* A parallel worker counts into its leader's slot. */
static void
borrow_leader_slot(void)
{
	int			leader = MyProc->lockGroupLeader ? MyProc->lockGroupLeader->pid : 0;

	for (int i = 0; i < PROGRESS_SLOTS && leader != 0; i++)
		if (shared->slots[i].pid == leader)
			my_slot = &shared->slots[i];
}

/*
 * SQL: deltaflow.scan_tick() -> true.  The condition a batch's query carries.
 */
PGDLLEXPORT Datum
deltaflow_scan_tick(PG_FUNCTION_ARGS)
{
	if (++unreported_ticks >= TICKS_PER_UPDATE)
	{
		if (my_slot == NULL && shared != NULL && IsParallelWorker())
			borrow_leader_slot();
		if (my_slot != NULL)
			pg_atomic_fetch_add_u64(&my_slot->rows_read, unreported_ticks);
		unreported_ticks = 0;
	}
	PG_RETURN_BOOL(true);
}

/*
 * SQL: deltaflow.progress_slots() -> setof record.  What is running now.
 */
PGDLLEXPORT Datum
deltaflow_progress_slots(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; shared != NULL && i < PROGRESS_SLOTS; i++)
	{
		ProgressSlot slot = shared->slots[i];
		Datum		values[7];
		bool		nulls[7] = {0};

		if (slot.pid == 0 || slot.database != MyDatabaseId)
			continue;
		values[0] = Int32GetDatum(slot.pid);
		values[1] = CStringGetTextDatum(slot.command);
		values[2] = ObjectIdGetDatum(slot.view);
		values[3] = CStringGetTextDatum(phase_names[slot.phase]);
		values[4] = Int64GetDatum((int64) pg_atomic_read_u64(&shared->slots[i].rows_read));
		values[5] = Int64GetDatum((int64) slot.rows_total);
		nulls[5] = slot.rows_total < 0;
		values[6] = TimestampTzGetDatum(slot.started_at);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
