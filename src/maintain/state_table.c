/*
 * state_table.c
 *		Rows of a view's state table.
 *
 * In come groups; out go rows.  Three ways in, none through the executor's nodes:
 *
 *	find	a btree probe per key, in key order, for groups not known to be stored
 *	update	the row at a known tid, in tid order, HOT wherever the page has room
 *	insert	many rows at once, in key order, for groups that have none
 *
 * Snapshot: a fresh one per opening.  It sees everything committed, even where the
 * caller's transaction is REPEATABLE READ (the pipeline's row lock has already
 * refused a stale one), and what this transaction wrote in earlier epochs, because
 * live_view_write ends with a command counter increment.  Nothing can be in
 * progress elsewhere: the pipeline's lock makes us the only writer.
 *
 * Invariant: a tid is used only together with the xmin of the row last seen there.
 * Should somebody else have changed the table (a manual DELETE, then VACUUM, then
 * another row in its place), the pair does not match and the epoch fails with a
 * serialization error; the caller discards the cache and tries again, cold.
 *
 * HOT: updates by tid never visit the page the way an index scan does, so nothing
 * would prune it; we ask for that before each page's updates.  A page without room
 * sends the row elsewhere, with new index entries.
 *
 * A crash leaves what any aborted transaction leaves: dead row versions.
 *
 * Locks: RowExclusiveLock on the table until the transaction ends, so that it cannot
 * be rewritten between the first fold of an epoch and its write.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "maintain/state_table.h"

#define INSERT_ROWS		128		/* rows handed to one multi-insert */
#define PREFETCH_GROUPS	4		/* how far ahead of an update */

struct StateTable
{
	const ViewSpec *spec;
	const GroupKeys *keys;
	MemoryContext context;
	MemoryContext scratch;		/* columns of the rows being written */

	Relation	relation;
	Relation	index;			/* NULL: the view has no keys */
	Snapshot	snapshot;

	/* finding */
	IndexScanDesc scan;
	ScanKeyData *probe;
	TupleTableSlot *found;
	TupleTableSlot *duplicate;

	/* writing */
	EState	   *estate;			/* NULL until the first write */
	ResultRelInfo *result;
	TupleTableSlot *row;
	TupleTableSlot *rows[INSERT_ROWS];	/* NULL until needed */
};

/* Is it a btree of all rows? */
static bool
index_is_whole(Relation index)
{
	return index->rd_index->indisvalid && index->rd_rel->relam == BTREE_AM_OID &&
		RelationGetIndexPredicate(index) == NIL;
}

/* Does the index serve lookups by all keys in their order? */
static bool
index_serves(Relation index, const ViewSpec *spec)
{
	if (!index_is_whole(index) || index->rd_index->indnkeyatts < spec->nkeys)
		return false;
	for (int i = 0; i < spec->nkeys; i++)
	{
		if (index->rd_index->indkey.values[i] != spec->keys[i].column.attnum)
			return false;
	}
	return true;
}

/* Opens the index that finds groups. */
static Relation
open_index(Relation relation, const ViewSpec *spec)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);

		if (index_serves(index, spec))
			return index;
		index_close(index, NoLock);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("state table \"%s\" has no index on its keys", RelationGetRelationName(relation)),
			 errhint("Drop the view and create it again.")));
}

/* Scan keys whose arguments state_table_find fills in. */
static ScanKeyData *
make_probe(const ViewSpec *spec)
{
	ScanKeyData *probe = palloc0(spec->nkeys * sizeof(ScanKeyData));

	for (int i = 0; i < spec->nkeys; i++)
		ScanKeyEntryInitialize(&probe[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid,
							   spec->keys[i].column.collation, spec->keys[i].eq_function, (Datum) 0);
	return probe;
}

/* Opens the state table. */
StateTable *
state_table_open(const ViewSpec *spec, const GroupKeys *keys)
{
	StateTable *table = palloc0(sizeof(StateTable));

	table->spec = spec;
	table->keys = keys;
	table->context = CurrentMemoryContext;
	table->relation = table_open(spec->state_relid, RowExclusiveLock);
	if (table->relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("state table \"%s\" is not a heap table",
						RelationGetRelationName(table->relation)),
				 errhint("Use ALTER TABLE ... SET ACCESS METHOD heap.")));
	if (spec->nkeys > 0)
		table->index = open_index(table->relation, spec);
	table->snapshot = RegisterSnapshot(GetLatestSnapshot());
	return table;
}

/* Ends a scan that state_table_find began. */
static void
end_finding(StateTable *table)
{
	if (table->scan != NULL)
		index_endscan(table->scan);
	if (table->found != NULL)
		ExecDropSingleTupleTableSlot(table->found);
	if (table->duplicate != NULL)
		ExecDropSingleTupleTableSlot(table->duplicate);
	table->scan = NULL;
	table->found = NULL;
	table->duplicate = NULL;
}

/* Releases what writing needed. */
static void
end_writing(StateTable *table)
{
	if (table->estate == NULL)
		return;
	ExecDropSingleTupleTableSlot(table->row);
	for (int i = 0; i < INSERT_ROWS && table->rows[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(table->rows[i]);
	ExecCloseIndices(table->result);
	FreeExecutorState(table->estate);
	MemoryContextDelete(table->scratch);
}

/* Closes the state table but keeps the lock. */
void
state_table_close(StateTable *table)
{
	end_finding(table);
	end_writing(table);
	UnregisterSnapshot(table->snapshot);
	if (table->index != NULL)
		index_close(table->index, NoLock);
	table_close(table->relation, NoLock);
	pfree(table);
}

/* What identifies the table's storage. */
Oid
state_table_storage(const StateTable *table)
{
	return table->relation->rd_rel->relfilenode;
}

/* What it is made of. */
StateTableParts
state_table_parts(const StateTable *table)
{
	return (StateTableParts) {table->relation, table->index, table->snapshot};
}

/* An index for walks by a column. */
Relation
index_led_by(Relation relation, AttrNumber column, LOCKMODE lock)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(lc), lock);

		if (index_is_whole(index) && index->rd_index->indkey.values[0] == column && index->rd_indoption[0] == 0)
			return index;
		index_close(index, NoLock);
	}
	return NULL;
}

/* The greatest window start stored. */
int64
state_table_newest(StateTable *table)
{
	ScanKeyData key;
	IndexScanDesc scan;
	TupleTableSlot *slot = table_slot_create(table->relation, NULL);
	int64		newest = GROUP_ORDER_NONE;

	ScanKeyEntryInitialize(&key, SK_ISNULL | SK_SEARCHNOTNULL, 1, InvalidStrategy, InvalidOid,
						   InvalidOid, InvalidOid, (Datum) 0);
	scan = index_beginscan(table->relation, table->index, table->snapshot, NULL, 1, 0);
	index_rescan(scan, &key, 1, NULL, 0);
	if (index_getnext_slot(scan, BackwardScanDirection, slot))
	{
		bool		isnull;

		newest = DatumGetInt64(slot_getattr(slot, table->spec->keys[0].column.attnum, &isnull));
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return newest;
}

/* Fetches the table's first row into slot. */
static bool
first_row(StateTable *table, TupleTableSlot *slot)
{
	TableScanDesc scan = table_beginscan(table->relation, table->snapshot, 0, NULL);
	bool		any = table_scan_getnextslot(scan, ForwardScanDirection, slot);

	table_endscan(scan);
	return any;
}

/* Is there no row at all? */
bool
state_table_is_empty(StateTable *table)
{
	TupleTableSlot *slot = table_slot_create(table->relation, NULL);
	bool		any = first_row(table, slot);

	ExecDropSingleTupleTableSlot(slot);
	return !any;
}

/* Prepares state_table_find. */
static void
begin_finding(StateTable *table)
{
	table->found = table_slot_create(table->relation, NULL);
	if (table->index == NULL)
		return;
	table->duplicate = table_slot_create(table->relation, NULL);
	table->probe = make_probe(table->spec);
	table->scan = index_beginscan(table->relation, table->index, table->snapshot, NULL,
								  table->spec->nkeys, 0);
}

/* Fetches the row of a group into table->found. */
static bool
probe_index(StateTable *table, FoldGroup *group)
{
	const bool *nulls = group_nulls(table->keys, group);

	for (int i = 0; i < table->spec->nkeys; i++)
	{
		table->probe[i].sk_flags = nulls[i] ? SK_ISNULL | SK_SEARCHNULL : 0;
		table->probe[i].sk_argument = group->keys[i];
	}
	index_rescan(table->scan, table->probe, table->spec->nkeys, NULL, 0);
	if (!index_getnext_slot(table->scan, ForwardScanDirection, table->found))
		return false;
	if (index_getnext_slot(table->scan, ForwardScanDirection, table->duplicate))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("state table \"%s\" has more than one row for a group",
						RelationGetRelationName(table->relation)),
				 errhint("Recompute the view.")));
	return true;
}

/* Looks a group's row up: see the header. */
bool
state_table_find(StateTable *table, FoldGroup *group, Datum **values, bool **isnull)
{
	MemoryContext old = MemoryContextSwitchTo(table->context);	/* scans allocate as they go */
	HeapTuple	tuple;
	bool		found;

	if (table->found == NULL)
		begin_finding(table);
	found = table->index != NULL ? probe_index(table, group) : first_row(table, table->found);
	MemoryContextSwitchTo(old);
	if (!found)
		return false;

	tuple = ExecFetchSlotHeapTuple(table->found, false, NULL);
	group->tid = table->found->tts_tid;
	group->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
	slot_getallattrs(table->found);
	*values = table->found->tts_values;
	*isnull = table->found->tts_isnull;
	return true;
}

/* Prepares writing. */
static void
begin_writing(StateTable *table)
{
	if (table->estate != NULL)
		return;
	table->estate = CreateExecutorState();
	table->result = makeNode(ResultRelInfo);
	InitResultRelInfo(table->result, table->relation, 0, NULL, 0);
	ExecOpenIndices(table->result, false);
	table->row = MakeSingleTupleTableSlot(RelationGetDescr(table->relation), &TTSOpsVirtual);
	table->scratch = AllocSetContextCreate(table->context, "deltaflow state rows",
										   ALLOCSET_DEFAULT_SIZES);
}

/* Stops an epoch whose knowledge of the table is wrong. */
static void
refuse_changed(StateTable *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("state table \"%s\" was changed by somebody else",
					RelationGetRelationName(table->relation)),
			 errhint("State tables are kept by deltaflow alone; recompute the view if its rows were edited.")));
}

/* The row of a group as columns in a virtual slot. */
static void
fill_slot(TupleTableSlot *slot, FoldGroup *group, StoreGroup store, void *arg)
{
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	store(arg, group, slot->tts_values, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
}

/* Index entries for a row that was added or moved to another page. */
static void
insert_index_entries(StateTable *table, TupleTableSlot *slot, bool is_update, bool summarizing)
{
	List	   *recheck = ExecInsertIndexTuples(table->result, slot, table->estate, is_update,
												false, NULL, NIL, summarizing);

	list_free(recheck);
	ResetPerTupleExprContext(table->estate);
}

/* Is the row at the group's tid the one we know?  The page is locked. */
static bool
row_is_ours(Page page, const FoldGroup *group)
{
	OffsetNumber offset = ItemPointerGetOffsetNumber(&group->tid);
	ItemId		item;

	if (offset > PageGetMaxOffsetNumber(page))
		return false;
	item = PageGetItemId(page, offset);
	return ItemIdIsNormal(item) &&
		HeapTupleHeaderGetRawXmin((HeapTupleHeader) PageGetItem(page, item)) == group->xmin;
}

/* Prunes a page and checks the rows about to be replaced on it. */
static void
prepare_page(StateTable *table, BlockNumber block, FoldGroup **groups, int64 n)
{
	Buffer		buffer = ReadBuffer(table->relation, block);
	bool		ours = true;

	heap_page_prune_opt(table->relation, buffer);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	for (int64 i = 0; i < n; i++)
		ours &= row_is_ours(BufferGetPage(buffer), groups[i]);
	UnlockReleaseBuffer(buffer);
	if (!ours)
		refuse_changed(table);
}

/* Where the groups of one page end, which begin at `first`. */
static int64
end_of_page(FoldGroup **groups, int64 n, int64 first)
{
	BlockNumber block = ItemPointerGetBlockNumber(&groups[first]->tid);
	int64		end = first + 1;

	while (end < n && ItemPointerGetBlockNumber(&groups[end]->tid) == block)
		end++;
	return end;
}

/* Removes the row of one group. */
static void
delete_row(StateTable *table, FoldGroup *group)
{
	TM_FailureData failure;

	if (table_tuple_delete(table->relation, &group->tid, GetCurrentCommandId(true), table->snapshot,
						   InvalidSnapshot, true, &failure, false) != TM_Ok)
		refuse_changed(table);
}

/* Removes rows, page by page. */
void
state_table_delete(StateTable *table, FoldGroup **groups, int64 n)
{
	int64		first = 0;

	if (n == 0)
		return;
	if (ItemPointerGetBlockNumber(&groups[n - 1]->tid) >= RelationGetNumberOfBlocks(table->relation))
		refuse_changed(table);
	while (first < n)
	{
		int64		end = end_of_page(groups, n, first);

		prepare_page(table, ItemPointerGetBlockNumber(&groups[first]->tid), groups + first, end - first);
		for (; first < end; first++)
			delete_row(table, groups[first]);
	}
}

/* Replaces the row of one group. */
static void
update_row(StateTable *table, FoldGroup *group, StoreGroup store, void *arg)
{
	TM_FailureData failure;
	LockTupleMode lock_mode;
	TU_UpdateIndexes update_indexes;

	fill_slot(table->row, group, store, arg);
	if (table_tuple_update(table->relation, &group->tid, table->row, GetCurrentCommandId(true),
						   table->snapshot, InvalidSnapshot, true, &failure, &lock_mode,
						   &update_indexes) != TM_Ok)
		refuse_changed(table);
	if (update_indexes != TU_None)
		insert_index_entries(table, table->row, (group->flags & GROUP_NEW_KEY) == 0,
							 only_summarizing(update_indexes));
	group->tid = table->row->tts_tid;
	group->xmin = GetCurrentTransactionId();
}

/* Replaces rows, page by page. */
void
state_table_update(StateTable *table, FoldGroup **groups, int64 n, StoreGroup store, void *arg)
{
	MemoryContext old;
	int64		first = 0;

	if (n == 0)
		return;
	if (ItemPointerGetBlockNumber(&groups[n - 1]->tid) >= RelationGetNumberOfBlocks(table->relation))
		refuse_changed(table);	/* truncated by a vacuum */
	begin_writing(table);
	old = MemoryContextSwitchTo(table->scratch);
	while (first < n)
	{
		int64		end = end_of_page(groups, n, first);

		prepare_page(table, ItemPointerGetBlockNumber(&groups[first]->tid), groups + first, end - first);
		for (; first < end; first++)
		{
			/* groups of neighbouring rows are anywhere in memory */
			if (first + PREFETCH_GROUPS < n)
				__builtin_prefetch(groups[first + PREFETCH_GROUPS]->keys);
			update_row(table, groups[first], store, arg);
		}
		MemoryContextReset(table->scratch);
	}
	MemoryContextSwitchTo(old);
}

/* Adds up to INSERT_ROWS rows. */
static void
insert_rows(StateTable *table, FoldGroup **groups, int n, StoreGroup store, void *arg)
{
	for (int i = 0; i < n; i++)
	{
		if (table->rows[i] == NULL)
		{
			MemoryContext old = MemoryContextSwitchTo(table->context);

			table->rows[i] = MakeSingleTupleTableSlot(RelationGetDescr(table->relation),
													  &TTSOpsVirtual);
			MemoryContextSwitchTo(old);
		}
		fill_slot(table->rows[i], groups[i], store, arg);
	}
	table_multi_insert(table->relation, table->rows, n, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < n; i++)
	{
		insert_index_entries(table, table->rows[i], false, false);
		groups[i]->tid = table->rows[i]->tts_tid;
		groups[i]->xmin = GetCurrentTransactionId();
	}
}

/* Adds rows. */
void
state_table_insert(StateTable *table, FoldGroup **groups, int64 n, StoreGroup store, void *arg)
{
	MemoryContext old;

	if (n == 0)
		return;
	begin_writing(table);
	old = MemoryContextSwitchTo(table->scratch);
	for (int64 first = 0; first < n; first += INSERT_ROWS)
	{
		CHECK_FOR_INTERRUPTS();
		insert_rows(table, groups + first, (int) Min(n - first, INSERT_ROWS), store, arg);
		MemoryContextReset(table->scratch);
	}
	MemoryContextSwitchTo(old);
}
