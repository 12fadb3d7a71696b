/*
 * session_table.c
 *		Finding stored sessions of a key by time.
 *
 * The state table's index has the keys of PARTITION BY and then the first time, so
 * the neighbours of a time are one descent each:
 *
 *		k = 7:   [10,14]      [31,31]         [52,60]
 *		                 ^ UPTO 40 gives [31,31], AFTER 40 gives [52,60]
 *
 * A row found may be of a session that is in memory, or was absorbed by one there, and
 * has grown since: it then lies within that session's present span.  Callers tell so.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "maintain/session_table.h"

#define NEWEST_SCAN_BLOCKS	8192	/* 64 MB are read in a few hundredths of a second */

struct SessionTable
{
	StateTable *state;
	const ViewSpec *spec;
	const SessionCache *cache;
	MemoryContext context;
	int			nkeys;			/* of PARTITION BY */
	AttrNumber	first;			/* columns of the table */
	AttrNumber	last;
	ScanKeyData *keys;			/* those of PARTITION BY, then that of the time */
	RegProcedure upto;			/* time <= and time > */
	RegProcedure after;
	IndexScanDesc scan;
	TupleTableSlot *slot;
};

/* The function of a comparison of times. */
static RegProcedure
time_comparison(Oid type, int strategy)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);

	return get_opcode(get_opfamily_member(entry->btree_opf, type, type, strategy));
}

/* Prepares searches. */
SessionTable *
session_table_open(StateTable *state, const ViewSpec *spec, const SessionCache *cache)
{
	SessionTable *table = palloc0(sizeof(SessionTable));

	table->state = state;
	table->spec = spec;
	table->cache = cache;
	table->context = CurrentMemoryContext;
	table->nkeys = spec->window.key;
	table->first = spec->keys[spec->window.key].column.attnum;
	table->last = spec->window.session.last.attnum;
	table->upto = time_comparison(spec->window.time_type, BTLessEqualStrategyNumber);
	table->after = time_comparison(spec->window.time_type, BTGreaterStrategyNumber);
	table->keys = palloc0((table->nkeys + 1) * sizeof(ScanKeyData));
	return table;
}

/* Ends searches. */
void
session_table_close(SessionTable *table)
{
	if (table->scan != NULL)
		index_endscan(table->scan);
	if (table->slot != NULL)
		ExecDropSingleTupleTableSlot(table->slot);
	pfree(table);
}

/* The first search opens the scan. */
static void
begin_scan(SessionTable *table)
{
	StateTableParts parts = state_table_parts(table->state);

	table->slot = table_slot_create(parts.relation, NULL);
	for (int i = 0; i < table->nkeys; i++)
		ScanKeyEntryInitialize(&table->keys[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
							   table->spec->keys[i].column.collation, table->spec->keys[i].eq_function, (Datum) 0);
	table->scan = index_beginscan(parts.relation, parts.index, parts.snapshot, NULL, table->nkeys + 1, 0);
}

/* What the search asks of the first time. */
static void
set_time_key(SessionTable *table, SessionSearch search, TimestampTz at)
{
	ScanKeyData *key = &table->keys[table->nkeys];
	AttrNumber	column = table->nkeys + 1;
	Datum		bound = TimestampTzGetDatum(at);

	switch (search)
	{
		case SESSION_NEWEST:
			ScanKeyEntryInitialize(key, SK_ISNULL | SK_SEARCHNOTNULL, column, InvalidStrategy,
								   InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
			break;
		case SESSION_TIMELESS:
			ScanKeyEntryInitialize(key, SK_ISNULL | SK_SEARCHNULL, column, InvalidStrategy,
								   InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
			break;
		case SESSION_UPTO:
			ScanKeyEntryInitialize(key, 0, column, BTLessEqualStrategyNumber, InvalidOid, InvalidOid, table->upto, bound);
			break;
		case SESSION_AFTER:
			ScanKeyEntryInitialize(key, 0, column, BTGreaterStrategyNumber, InvalidOid, InvalidOid, table->after, bound);
			break;
	}
}

/* Sets the scan at the beginning of what is searched. */
static void
restart_scan(SessionTable *table, const SessionKey *key, SessionSearch search, TimestampTz at)
{
	const bool *nulls = session_key_nulls(table->cache, key);

	for (int i = 0; i < table->nkeys; i++)
	{
		table->keys[i].sk_flags = nulls[i] ? SK_ISNULL | SK_SEARCHNULL : 0;
		table->keys[i].sk_argument = key->keys[i];
	}
	set_time_key(table, search, at);
	index_rescan(table->scan, table->keys, table->nkeys + 1, NULL, 0);
}

/* Finds one session: see the header. */
bool
session_table_find(SessionTable *table, const SessionKey *key, SessionSearch search,
				   TimestampTz at, StoredSession *found)
{
	MemoryContext old = MemoryContextSwitchTo(table->context);
	bool		forward = search == SESSION_AFTER || search == SESSION_TIMELESS;
	HeapTuple	tuple;
	bool		any;

	if (table->scan == NULL)
		begin_scan(table);
	restart_scan(table, key, search, at);
	any = index_getnext_slot(table->scan, forward ? ForwardScanDirection : BackwardScanDirection, table->slot);
	MemoryContextSwitchTo(old);
	if (!any)
		return false;

	tuple = ExecFetchSlotHeapTuple(table->slot, false, NULL);
	slot_getallattrs(table->slot);
	found->tid = table->slot->tts_tid;
	found->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
	found->values = table->slot->tts_values;
	found->isnull = table->slot->tts_isnull;
	found->first = DatumGetTimestampTz(found->values[table->first - 1]);
	found->last = DatumGetTimestampTz(found->values[table->last - 1]);
	return true;
}

/* The greatest last time stored. */
TimestampTz
session_table_newest(SessionTable *table)
{
	StateTableParts parts = state_table_parts(table->state);
	TimestampTz newest = DT_NOBEGIN;
	TableScanDesc scan;
	TupleTableSlot *slot;

	if (RelationGetNumberOfBlocks(parts.relation) > NEWEST_SCAN_BLOCKS)
		return DT_NOEND;
	slot = table_slot_create(parts.relation, NULL);
	scan = table_beginscan(parts.relation, parts.snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		last = slot_getattr(slot, table->last, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!isnull)
			newest = Max(newest, DatumGetTimestampTz(last));
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return newest;
}
