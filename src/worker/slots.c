/*
 * slots.c
 *		Shared memory of the workers: slots, holds, wake-ups.
 *
 * In: claims of parents, comings and goings of processes, commits that changed a
 * catalog.  Out: who runs.  Nothing here is the truth about a pipeline (that is
 * the catalog); a server restart begins with an empty array and the launcher
 * rebuilds it.
 *
 * Locks: one LWLock for everything but the counters.  Latches are set while it
 * is held, which is what keeps a latch pointer from outliving its process: a
 * process clears its slot, under the lock, before it gives up its latch.
 *
 * A crash of any process with shared memory access makes the postmaster start
 * over, so no state here has to survive one.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "worker/settings.h"
#include "worker/slots.h"

#define MAX_HOLDS	16
#define MAX_WANTED	32

typedef struct DatabaseHold
{
	Oid			database;
	int			pid;			/* of the backend that holds, 0: unused */
} DatabaseHold;

typedef struct WorkerShared
{
	LWLock	   *lock;
	ConditionVariable committed;	/* an epoch, or a change of state, committed */

	/* under the lock */
	Latch	   *launcher;		/* NULL: there is none (yet) */
	uint32		tokens;			/* handed out so far */
	int			nwanted;		/* MAX_WANTED + 1: more than fit */
	Oid			wanted[MAX_WANTED];
	DatabaseHold holds[MAX_HOLDS];
	WorkerSlot	slots[FLEXIBLE_ARRAY_MEMBER];
} WorkerShared;

static WorkerShared *shared = NULL;
static WorkerSlot *my_slot = NULL;
static bool holding = false;	/* this backend may have holds */

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static Size
shared_size(void)
{
	return add_size(offsetof(WorkerShared, slots), mul_size(setting_max_workers, sizeof(WorkerSlot)));
}

static void
request_shared(void)
{
	if (previous_request_hook != NULL)
		previous_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("deltaflow", 1);
}

static void
startup_shared(void)
{
	bool		found;

	if (previous_startup_hook != NULL)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("deltaflow workers", shared_size(), &found);
	if (!found)
	{
		memset(shared, 0, shared_size());
		shared->lock = &GetNamedLWLockTranche("deltaflow")->lock;
		ConditionVariableInit(&shared->committed);
		for (int i = 0; i < setting_max_workers; i++)
		{
			pg_atomic_init_u64(&shared->slots[i].epochs, 0);
			pg_atomic_init_u64(&shared->slots[i].records, 0);
			pg_atomic_init_u64(&shared->slots[i].newest_record_ms, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
slots_init(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_shared;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shared;
}

bool
slots_exist(void)
{
	return shared != NULL;
}

/* The slot of that worker, NULL when there is none.  Lock held. */
static WorkerSlot *
find_slot(Oid database, int64 pipeline)
{
	for (int i = 0; i < setting_max_workers; i++)
	{
		WorkerSlot *slot = &shared->slots[i];

		if (slot->phase != SLOT_FREE && slot->database == database && slot->pipeline == pipeline)
			return slot;
	}
	return NULL;
}

static WorkerSlot *
find_free_slot(void)
{
	for (int i = 0; i < setting_max_workers; i++)
		if (shared->slots[i].phase == SLOT_FREE)
			return &shared->slots[i];
	return NULL;
}

static bool
held(Oid database)
{
	for (int i = 0; i < MAX_HOLDS; i++)
		if (shared->holds[i].pid != 0 && shared->holds[i].database == database)
			return true;
	return false;
}

static void
set_phase(WorkerSlot *slot, SlotPhase phase)
{
	slot->phase = phase;
	slot->since = GetCurrentTimestamp();
	if (phase != SLOT_ALIVE)
	{
		slot->pid = 0;
		slot->latch = NULL;
	}
}

/* Wakes who looks after the slot: the launcher or the database's supervisor.  Lock held. */
static void
wake_parent(const WorkerSlot *slot)
{
	Latch	   *latch = shared->launcher;

	if (slot->pipeline != 0)
	{
		WorkerSlot *supervisor = find_slot(slot->database, 0);

		latch = supervisor != NULL ? supervisor->latch : NULL;
	}
	if (latch != NULL)
		SetLatch(latch);
}

SlotClaim
slot_claim(Oid database, int64 pipeline)
{
	SlotClaim	claim = {-1, 0};
	WorkerSlot *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = find_slot(database, pipeline);
	if (slot == NULL)
		slot = find_free_slot();
	if (slot != NULL && !held(database) && (slot->phase == SLOT_FREE || slot->phase == SLOT_ENDED))
	{
		slot->database = database;
		slot->pipeline = pipeline;
		slot->token = ++shared->tokens;
		slot->outcome = ENDED_WELL;
		slot->settled = false;
		slot->wakes = 0;
		slot->next_start = 0;
		set_phase(slot, SLOT_STARTING);
		claim.index = slot - shared->slots;
		claim.token = slot->token;
	}
	LWLockRelease(shared->lock);
	return claim;
}

void
slot_end(SlotClaim claim, SlotOutcome outcome)
{
	WorkerSlot *slot = &shared->slots[claim.index];

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (slot->phase == SLOT_STARTING && slot->token == claim.token)
	{
		slot->outcome = outcome;
		set_phase(slot, SLOT_ENDED);
	}
	LWLockRelease(shared->lock);
}

void
slot_delay(int index, TimestampTz next_start)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->slots[index].next_start = next_start;
	LWLockRelease(shared->lock);
}

void
slot_free(int index)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->slots[index].phase == SLOT_ENDED)
		set_phase(&shared->slots[index], SLOT_FREE);
	LWLockRelease(shared->lock);
}

static void
launcher_detach(int code, Datum arg)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = NULL;
	LWLockRelease(shared->lock);
}

void
launcher_attach(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = MyLatch;
	LWLockRelease(shared->lock);
	on_shmem_exit(launcher_detach, (Datum) 0);
}

static void
view_slot(const WorkerSlot *slot, SlotView *view)
{
	view->index = slot - shared->slots;
	view->database = slot->database;
	view->pipeline = slot->pipeline;
	view->phase = slot->phase;
	view->outcome = slot->outcome;
	view->settled = slot->settled;
	view->pid = slot->pid;
	view->since = slot->since;
	view->next_start = slot->next_start;
	view->epochs = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &slot->epochs));
	view->records = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &slot->records));
	view->newest_record_ms = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, &slot->newest_record_ms));
}

int
slots_look(Oid database, SlotView *views, int max)
{
	int			n = 0;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < setting_max_workers && n < max; i++)
	{
		const WorkerSlot *slot = &shared->slots[i];

		if (slot->phase != SLOT_FREE && (slot->database == database || !OidIsValid(database)))
			view_slot(slot, &views[n++]);
	}
	LWLockRelease(shared->lock);
	return n;
}

bool
slot_find(Oid database, int64 pipeline, SlotView *view)
{
	WorkerSlot *slot;

	LWLockAcquire(shared->lock, LW_SHARED);
	slot = find_slot(database, pipeline);
	if (slot != NULL)
		view_slot(slot, view);
	LWLockRelease(shared->lock);
	return slot != NULL;
}

/* Runs at exit after the process has left the database (it was registered before it connected). */
static void
slot_detach(int code, Datum arg)
{
	WorkerSlot *slot = my_slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (slot->phase == SLOT_ALIVE && slot->pid == MyProcPid)
	{
		/* a process told to stop in the middle of its work exits by FATAL */
		slot->outcome = ProcDiePending ? ENDED_STOPPED : code == 0 ? ENDED_WELL : ENDED_FAILED;
		set_phase(slot, SLOT_ENDED);
	}
	wake_parent(slot);
	my_slot = NULL;
	LWLockRelease(shared->lock);

	/* whoever waits for this pipeline should see that nobody works on it */
	commit_broadcast();
}

bool
slot_attach(SlotClaim claim)
{
	WorkerSlot *slot = &shared->slots[claim.index];
	bool		valid;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	valid = slot->phase == SLOT_STARTING && slot->token == claim.token;
	if (valid && held(slot->database))
	{
		set_phase(slot, SLOT_ENDED);
		wake_parent(slot);
		valid = false;
	}
	if (valid)
	{
		set_phase(slot, SLOT_ALIVE);
		slot->pid = MyProcPid;
		slot->latch = MyLatch;
		pg_atomic_write_u64(&slot->epochs, 0);
		pg_atomic_write_u64(&slot->records, 0);
		pg_atomic_write_u64(&slot->newest_record_ms, 0);
		my_slot = slot;
	}
	LWLockRelease(shared->lock);
	if (valid)
		on_shmem_exit(slot_detach, (Datum) 0);
	return valid;
}

uint32
slot_wakes(void)
{
	uint32		wakes;

	LWLockAcquire(shared->lock, LW_SHARED);
	wakes = my_slot->wakes;
	LWLockRelease(shared->lock);
	return wakes;
}

void
slot_settle(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (!my_slot->settled)
	{
		my_slot->settled = true;
		wake_parent(my_slot);
	}
	LWLockRelease(shared->lock);
}

bool
slot_leave(uint32 seen_wakes)
{
	bool		leave;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	leave = my_slot->wakes == seen_wakes;
	if (leave)
		set_phase(my_slot, SLOT_ENDED);
	LWLockRelease(shared->lock);
	return leave;
}

void
slot_count_epoch(uint64 records, uint64 newest_record_ms)
{
	if (my_slot == NULL)
		return;
	/* single writer: no need for locked read-modify-write */
	pg_atomic_write_u64(&my_slot->epochs, pg_atomic_read_u64(&my_slot->epochs) + 1);
	pg_atomic_write_u64(&my_slot->records, pg_atomic_read_u64(&my_slot->records) + records);
	if (newest_record_ms > pg_atomic_read_u64(&my_slot->newest_record_ms))
		pg_atomic_write_u64(&my_slot->newest_record_ms, newest_record_ms);
}

/* Notes the database for the launcher.  Lock held. */
static void
want_supervisor(Oid database)
{
	if (shared->nwanted < MAX_WANTED)
		shared->wanted[shared->nwanted++] = database;
	else
		shared->nwanted = MAX_WANTED + 1;
	if (shared->launcher != NULL)
		SetLatch(shared->launcher);
}

void
slots_wake(Oid database)
{
	bool		supervised = false;

	if (shared == NULL)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < setting_max_workers; i++)
	{
		WorkerSlot *slot = &shared->slots[i];

		if (slot->database != database || (slot->phase != SLOT_STARTING && slot->phase != SLOT_ALIVE))
			continue;
		slot->wakes++;
		if (slot->latch != NULL)
			SetLatch(slot->latch);
		if (slot->pipeline == 0)
			supervised = true;
	}
	if (!supervised)
		want_supervisor(database);
	LWLockRelease(shared->lock);
}

int
slots_wanted(Oid *databases, int max)
{
	int			n;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	n = shared->nwanted;
	if (n > max || n > MAX_WANTED)
		n = max + 1;
	else
		memcpy(databases, shared->wanted, n * sizeof(Oid));
	shared->nwanted = 0;
	LWLockRelease(shared->lock);
	return n;
}

void
commit_broadcast(void)
{
	if (shared != NULL)
		ConditionVariableBroadcast(&shared->committed);
}

void
commit_prepare_wait(void)
{
	ConditionVariablePrepareToSleep(&shared->committed);
}

void
commit_wait(long timeout_ms)
{
	ConditionVariableTimedSleep(&shared->committed, timeout_ms, PG_WAIT_EXTENSION);
}

void
commit_end_wait(void)
{
	ConditionVariableCancelSleep();
}

/* A backend that dies while it holds databases gives them back. */
static void
release_at_exit(int code, Datum arg)
{
	database_release_all();
}

bool
database_hold(Oid database)
{
	static bool registered = false;
	bool		done = false;

	if (!registered)
	{
		before_shmem_exit(release_at_exit, (Datum) 0);
		registered = true;
	}
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_HOLDS && !done; i++)
	{
		DatabaseHold *hold = &shared->holds[i];

		if (hold->pid == 0)
		{
			hold->pid = MyProcPid;
			hold->database = database;
			done = true;
		}
	}
	LWLockRelease(shared->lock);
	holding |= done;
	return done;
}

void
database_release_all(void)
{
	if (!holding)
		return;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_HOLDS; i++)
	{
		DatabaseHold *hold = &shared->holds[i];

		if (hold->pid == MyProcPid)
		{
			want_supervisor(hold->database);
			hold->pid = 0;
		}
	}
	LWLockRelease(shared->lock);
	holding = false;
}

bool
database_is_held(Oid database)
{
	bool		result;

	LWLockAcquire(shared->lock, LW_SHARED);
	result = held(database);
	LWLockRelease(shared->lock);
	return result;
}

int
slots_terminate(Oid database)
{
	int			n = 0;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < setting_max_workers; i++)
	{
		const WorkerSlot *slot = &shared->slots[i];

		if (slot->database != database || (slot->phase != SLOT_STARTING && slot->phase != SLOT_ALIVE))
			continue;
		n++;
		if (slot->pid != 0)
			kill(slot->pid, SIGTERM);
	}
	LWLockRelease(shared->lock);
	return n;
}
