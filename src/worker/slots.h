/*
 * slots.h
 *		Shared memory of the workers: who runs for which database and pipeline.
 *
 * A slot belongs to one supervisor (pipeline 0) or one pipeline worker.  Its way:
 *
 *		FREE --claim--> STARTING --attach--> ALIVE --exit--> ENDED --claim or free-->
 *
 * Its parent (the launcher for supervisors, the supervisor for pipelines) claims
 * and frees it, the worker attaches and leaves.  Everything is under one LWLock,
 * held for a walk over the array at most; the counters are the worker's alone.
 * Absent in servers that do not preload the library.
 */
#ifndef DELTAFLOW_WORKER_SLOTS_H
#define DELTAFLOW_WORKER_SLOTS_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/latch.h"

typedef enum SlotPhase
{
	SLOT_FREE,
	SLOT_STARTING,				/* claimed; the process has not attached yet */
	SLOT_ALIVE,
	SLOT_ENDED					/* the process is gone; outcome says how */
} SlotPhase;

typedef enum SlotOutcome
{
	ENDED_WELL,					/* its work is over, or not wanted any more */
	ENDED_STOPPED,				/* told to by a signal */
	ENDED_FAILED,				/* an error escaped, or it never came up */
	ENDED_NO_ROOM				/* the server had no background worker left */
} SlotOutcome;

typedef struct WorkerSlot
{
	/* identity: while not FREE */
	Oid			database;
	int64		pipeline;		/* 0: the database's supervisor */

	/* under the lock */
	SlotPhase	phase;
	SlotOutcome outcome;
	uint32		token;			/* changes with every claim: a late process must not attach */
	int			pid;
	Latch	   *latch;			/* of the process, while ALIVE */
	bool		settled;		/* a supervisor that has found work and stays */
	uint32		wakes;			/* how often it was told to look at the catalog */
	TimestampTz since;			/* of the phase */
	TimestampTz next_start;		/* ENDED: not before */

	/* statistics: written by the process alone, since it attached */
	pg_atomic_uint64 epochs;
	pg_atomic_uint64 records;
	pg_atomic_uint64 newest_record_ms;	/* timestamp of the newest record taken, 0 none */
} WorkerSlot;

/* A look at one slot, copied out. */
typedef struct SlotView
{
	int			index;
	Oid			database;
	int64		pipeline;
	SlotPhase	phase;
	SlotOutcome outcome;
	bool		settled;
	int			pid;
	TimestampTz since;
	TimestampTz next_start;
	uint64		epochs;
	uint64		records;
	uint64		newest_record_ms;
} SlotView;

/* What a claim gives: -1 and no token when refused. */
typedef struct SlotClaim
{
	int			index;
	uint32		token;
} SlotClaim;

extern void slots_init(void);	/* from _PG_init, while libraries are preloaded */
extern bool slots_exist(void);

/* Parents.  A claim is refused when the slot is alive, the database is held, or all are taken. */
extern SlotClaim slot_claim(Oid database, int64 pipeline);
extern void slot_end(SlotClaim claim, SlotOutcome outcome); /* the process did not come up */
extern void slot_delay(int index, TimestampTz next_start);
extern void slot_free(int index);	/* does nothing unless ENDED */
extern void launcher_attach(void);	/* this process is woken when supervisors end or are wanted */

/* Up to max slots that are not free: of one database, or of all (InvalidOid).  Returns how many. */
extern int	slots_look(Oid database, SlotView *views, int max);
extern bool slot_find(Oid database, int64 pipeline, SlotView *view);

/*
 * Workers.  Attaching is refused when the claim is void or the database is held;
 * to be called before connecting, so that the slot ends after the process has
 * left the database for every observer.
 */
extern bool slot_attach(SlotClaim claim);
extern uint32 slot_wakes(void); /* of this process's slot */
extern void slot_settle(void);

/* Ends the slot now unless there were wakes since; to be followed by proc_exit. */
extern bool slot_leave(uint32 seen_wakes);
extern void slot_count_epoch(uint64 records, uint64 newest_record_ms);

/* Wake-ups */
extern void slots_wake(Oid database);	/* its workers look at the catalog; the launcher starts a supervisor if none */
extern int	slots_wanted(Oid *databases, int max);	/* launcher: databases told of since; max + 1 when too many */

/* Waiters for commits; the broadcast is cheap when nobody waits. */
extern void commit_broadcast(void);
extern void commit_prepare_wait(void);
extern void commit_wait(long timeout_ms);
extern void commit_end_wait(void);

/*
 * Holds: no worker starts or stays in a held database until this backend
 * releases.  Hold returns false when there are too many.  slots_terminate asks
 * all workers of the database to stop, and returns how many are still there.
 */
extern bool database_hold(Oid database);
extern void database_release_all(void);
extern bool database_is_held(Oid database);
extern int	slots_terminate(Oid database);

#endif							/* DELTAFLOW_WORKER_SLOTS_H */
