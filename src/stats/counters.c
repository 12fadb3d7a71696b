/*
 * counters.c
 *		Counters of running workers, and the function that shows them.
 *
 * In: one call per committed epoch.  Out: deltaflow.workers(), which the view
 * deltaflow.status joins.  The counters live in the worker's slot, are written by
 * that worker alone and read without a lock; they begin at zero with each worker.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "stats/counters.h"
#include "worker/settings.h"
#include "worker/slots.h"

#define WORKERS_COLUMNS 9

PG_FUNCTION_INFO_V1(deltaflow_workers);
PG_FUNCTION_INFO_V1(deltaflow_workers_possible);
PG_FUNCTION_INFO_V1(deltaflow_worker_slots_free);

void
counters_epoch(int64 records, int64 newest_record_ms)
{
	slot_count_epoch(records, Max(newest_record_ms, 0));
}

/* What a slot's phase is called. */
static const char *
phase_name(const SlotView *slot)
{
	static const char *const outcomes[] = {
		[ENDED_WELL] = "ended",
		[ENDED_STOPPED] = "stopped",
		[ENDED_FAILED] = "failed",
		[ENDED_NO_ROOM] = "no room",
	};

	switch (slot->phase)
	{
		case SLOT_STARTING:
			return "starting";
		case SLOT_ALIVE:
			return "running";
		default:
			return outcomes[slot->outcome];
	}
}

/* One slot as a row of deltaflow.workers(). */
static void
put_worker(ReturnSetInfo *result, const SlotView *slot)
{
	Datum		values[WORKERS_COLUMNS] = {0};
	bool		isnull[WORKERS_COLUMNS] = {0};
	int			i = 0;

	values[i] = Int64GetDatum(slot->pipeline);
	isnull[i++] = slot->pipeline == 0;
	values[i] = Int32GetDatum(slot->pid);
	isnull[i++] = slot->pid == 0;
	values[i++] = CStringGetTextDatum(phase_name(slot));
	values[i++] = TimestampTzGetDatum(slot->since);
	values[i] = TimestampTzGetDatum(slot->next_start);
	isnull[i++] = slot->next_start == 0;
	values[i++] = Int64GetDatum((int64) slot->epochs);
	values[i++] = Int64GetDatum((int64) slot->records);
	values[i] = TimestampTzGetDatum(time_t_to_timestamptz(slot->newest_record_ms / 1000) +
									(slot->newest_record_ms % 1000) * 1000);
	isnull[i++] = slot->newest_record_ms == 0;
	values[i++] = BoolGetDatum(slot->phase == SLOT_ALIVE);
	Assert(i == WORKERS_COLUMNS);
	tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
}

/* deltaflow.workers(): supervisor (pipeline null) and pipeline workers of this database. */
PGDLLEXPORT Datum
deltaflow_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SlotView   *slots;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	if (!slots_exist())
		return (Datum) 0;
	slots = palloc(setting_max_workers * sizeof(SlotView));
	n = slots_look(MyDatabaseId, slots, setting_max_workers);
	for (int i = 0; i < n; i++)
		put_worker(result, &slots[i]);
	return (Datum) 0;
}

/* deltaflow.workers_possible(): whether the server preloads the library. */
PGDLLEXPORT Datum
deltaflow_workers_possible(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(slots_exist());
}

/* deltaflow.worker_slots_free(): how many more workers deltaflow.max_workers allows, in all databases. */
PGDLLEXPORT Datum
deltaflow_worker_slots_free(PG_FUNCTION_ARGS)
{
	SlotView   *slots;

	if (!slots_exist())
		PG_RETURN_INT32(0);
	slots = palloc(setting_max_workers * sizeof(SlotView));
	PG_RETURN_INT32(setting_max_workers - slots_look(InvalidOid, slots, setting_max_workers));
}
