/*
 * launcher.c
 *		The one static process: sees to it that every database with pipelines has a
 *		supervisor.
 *
 * In: pg_database, which it can read without being connected to a database, and
 * the databases other backends have told it about.  Out: supervisors.
 *
 * Only a process inside a database can see whether it has the extension, so the
 * launcher starts a supervisor in each, one at a time, and the supervisor leaves
 * at once when there is nothing to run; such a database is looked at again when
 * a backend says so, and otherwise after a delay that doubles up to sixteen
 * naptimes.  Templates are left alone: they are there to be copied, and a copy is
 * refused while anybody is connected.
 *
 * It starts after recovery, so never on a standby; promotion starts it.  It keeps
 * nothing that a restart would miss.  Memory: one table of databases, and one
 * context that each round resets.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "worker/backoff.h"
#include "worker/process.h"
#include "worker/settings.h"
#include "worker/slots.h"
#include "worker/wait.h"

PGDLLEXPORT void deltaflow_launcher_main(Datum arg);

#define MAX_WANTED		32
#define NO_ROOM_MS		10000	/* before asking again for a background worker */
#define FIRST_FAILED_MS	1000
#define COMPLAIN_MS		300000	/* between messages about the same lack */
#define IDLE_DOUBLINGS	16		/* naptimes between looks at a database without work, at most */

/* What is remembered of a database. */
typedef struct DatabaseEntry
{
	Oid			database;		/* hash key */
	char		name[NAMEDATALEN];
	uint32		round;			/* in which it was last seen */
	TimestampTz next_look;
	Backoff		failures;
	int			idle_looks;		/* in a row without work */
	BackgroundWorkerHandle *handle; /* of a supervisor that has not attached yet */
	SlotClaim	claim;
} DatabaseEntry;

typedef struct Launcher
{
	HTAB	   *databases;
	MemoryContext round_context;
	uint32		round;
	bool		was_enabled;	/* deltaflow.enabled in the last round */
	TimestampTz complained;		/* when the log was last told that there is no room */
} Launcher;

/* Databases a supervisor may enter; palloc'd. */
static List *
list_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *list = NIL;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext own;

		/* connection limit -2 marks the remains of an interrupted DROP DATABASE */
		if (!form->datallowconn || form->datistemplate || form->datconnlimit == -2)
			continue;
		own = MemoryContextSwitchTo(caller);
		list = lappend(list, memcpy(palloc(sizeof(*form)), form, sizeof(*form)));
		MemoryContextSwitchTo(own);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return list;
}

/* Brings the table of databases up to date. */
static void
refresh_databases(Launcher *launcher)
{
	HASH_SEQ_STATUS status;
	DatabaseEntry *entry;
	ListCell   *lc;

	launcher->round++;
	foreach(lc, list_databases())
	{
		Form_pg_database form = lfirst(lc);
		bool		found;

		entry = hash_search(launcher->databases, &form->oid, HASH_ENTER, &found);
		if (!found)
		{
			memset(entry, 0, sizeof(*entry));
			entry->database = form->oid;
			entry->failures.first_ms = FIRST_FAILED_MS;
		}
		strlcpy(entry->name, NameStr(form->datname), NAMEDATALEN);
		entry->failures.most_ms = setting_naptime * 1000L;
		entry->round = launcher->round;
	}

	hash_seq_init(&status, launcher->databases);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->round != launcher->round)
			hash_search(launcher->databases, &entry->database, HASH_REMOVE, NULL);
}

/* Databases that backends have asked to be looked at are due now; all are when deltaflow has been enabled. */
static void
take_wanted(Launcher *launcher)
{
	Oid			wanted[MAX_WANTED];
	int			n = slots_wanted(wanted, MAX_WANTED);
	bool		all = n > MAX_WANTED || (setting_enabled && !launcher->was_enabled);
	HASH_SEQ_STATUS status;
	DatabaseEntry *entry;

	launcher->was_enabled = setting_enabled;
	if (n == 0 && !all)
		return;
	hash_seq_init(&status, launcher->databases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		bool		due = all;

		for (int i = 0; !due && i < n; i++)
			due = wanted[i] == entry->database;
		if (due)
		{
			entry->next_look = 0;
			entry->idle_looks = 0;
		}
	}
}

/* Learns from how a supervisor ended when the database is to be looked at again. */
static void
schedule_after(DatabaseEntry *entry, const SlotView *slot)
{
	long		naptime_ms = setting_naptime * 1000L;
	long		delay = 0;

	switch (slot->outcome)
	{
		case ENDED_WELL:
			entry->idle_looks = entry->idle_looks == 0 ? 1 : Min(entry->idle_looks * 2, IDLE_DOUBLINGS);
			delay = naptime_ms * entry->idle_looks;
			backoff_succeeded(&entry->failures);
			break;
		case ENDED_STOPPED:
			delay = FIRST_FAILED_MS;
			break;
		case ENDED_FAILED:
			delay = backoff_failed(&entry->failures);
			break;
		case ENDED_NO_ROOM:
			delay = NO_ROOM_MS;
			break;
	}
	entry->next_look = TimestampTzPlusMilliseconds(slot->since, delay);
}

/* A supervisor that the postmaster could not start leaves its slot to us. */
static void
check_starting(DatabaseEntry *entry)
{
	pid_t		pid;

	if (entry->handle == NULL || GetBackgroundWorkerPid(entry->handle, &pid) != BGWH_STOPPED)
		return;
	slot_end(entry->claim, ENDED_FAILED);
	pfree(entry->handle);
	entry->handle = NULL;
}

/*
 * Walks the slots: takes note of ended supervisors, frees what nobody looks after.
 * Returns whether a supervisor is still finding out if it has work.
 */
static bool
review_slots(Launcher *launcher, SlotView *slots, int n)
{
	bool		looking = false;

	for (int i = 0; i < n; i++)
	{
		const SlotView *slot = &slots[i];
		DatabaseEntry *entry = hash_search(launcher->databases, &slot->database, HASH_FIND, NULL);
		SlotView	supervisor;

		if (slot->pipeline == 0 && slot->phase == SLOT_ENDED)
		{
			if (entry != NULL)
				schedule_after(entry, slot);
			slot_free(slot->index);
		}
		else if (slot->pipeline == 0)
		{
			if (entry == NULL)
				slots_terminate(slot->database);	/* it has become a template, or closed to connections */
			else if (slot->phase == SLOT_STARTING)
				check_starting(entry);
			looking |= !slot->settled;
		}
		else if (slot->phase == SLOT_ENDED && !slot_find(slot->database, 0, &supervisor))
			slot_free(slot->index);
	}
	return looking;
}

/* Starts a supervisor; false when the server has no room for it. */
static bool
start_supervisor(Launcher *launcher, DatabaseEntry *entry)
{
	WorkerArgs	args = {.claim = slot_claim(entry->database, 0), .database = entry->database};

	entry->next_look = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), NO_ROOM_MS);
	if (args.claim.index < 0)
		return true;			/* held, alive, or no slot: later */

	if (entry->handle != NULL)
		pfree(entry->handle);
	entry->handle = NULL;
	entry->claim = args.claim;
	if (process_start("deltaflow_supervisor_main", "deltaflow supervisor", "deltaflow supervisor",
					  &args, &entry->handle))
		return true;
	slot_end(args.claim, ENDED_NO_ROOM);
	if (!TimestampDifferenceExceeds(launcher->complained, GetCurrentTimestamp(), COMPLAIN_MS))
		return false;
	launcher->complained = GetCurrentTimestamp();
	ereport(LOG,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("could not start a deltaflow supervisor for database \"%s\"", entry->name),
			 errdetail("The server has no background worker left."),
			 errhint("Raise max_worker_processes.")));
	return false;
}

/*
 * Starts the supervisor that is due longest, or says how long to wait for the next
 * one.  Databases are entered one at a time, so that a server with many of them
 * needs one background worker for looking.
 */
static long
start_due(Launcher *launcher, bool looking)
{
	TimestampTz now = GetCurrentTimestamp();
	DatabaseEntry *first = NULL;
	HASH_SEQ_STATUS status;
	DatabaseEntry *entry;
	SlotView	slot;

	hash_seq_init(&status, launcher->databases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (slot_find(entry->database, 0, &slot) || database_is_held(entry->database))
			continue;
		if (first == NULL || entry->next_look < first->next_look)
			first = entry;
	}
	if (first == NULL || looking)
		return setting_naptime * 1000L;
	if (first->next_look <= now)
		return start_supervisor(launcher, first) ? 0 : NO_ROOM_MS;
	return Min(setting_naptime * 1000L, (long) ((first->next_look - now) / 1000) + 1);
}

/* One round; returns how long to wait before the next, in milliseconds. */
static long
launcher_round(Launcher *launcher)
{
	MemoryContext own = MemoryContextSwitchTo(launcher->round_context);
	SlotView   *slots = palloc(setting_max_workers * sizeof(SlotView));
	long		wait_ms = setting_naptime * 1000L;
	int			n;
	bool		looking;

	refresh_databases(launcher);
	n = slots_look(InvalidOid, slots, setting_max_workers);
	MemoryContextSwitchTo(own);
	looking = review_slots(launcher, slots, n);
	take_wanted(launcher);
	if (setting_enabled)
		wait_ms = start_due(launcher, looking);
	MemoryContextReset(launcher->round_context);
	return wait_ms;
}

static Launcher *
launcher_create(void)
{
	Launcher   *launcher = MemoryContextAllocZero(TopMemoryContext, sizeof(Launcher));
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(DatabaseEntry)};

	launcher->databases = hash_create("deltaflow databases", 64, &control, HASH_ELEM | HASH_BLOBS);
	launcher->round_context = AllocSetContextCreate(TopMemoryContext, "deltaflow launcher round",
													ALLOCSET_DEFAULT_SIZES);
	return launcher;
}

void
deltaflow_launcher_main(Datum arg)
{
	Launcher   *launcher;

	process_begin();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	launcher_attach();
	launcher = launcher_create();
	MemoryContextSwitchTo(TopMemoryContext);
	ereport(LOG, (errmsg("deltaflow launcher started")));

	for (;;)
	{
		long		wait_ms;

		process_interrupts();
		wait_ms = launcher_round(launcher);
		if (wait_ms > 0)
			wait_for(-1, wait_ms, WAIT_FOR_WORKERS);
	}
}
