/*
 * fill.c
 *		Rows from before a view was made, folded a slice per epoch.
 *
 * A view made while its pipeline runs takes part from the next epoch on.  What is
 * older is added in slices, each in the transaction of an epoch, through the same
 * group cache: folding does not care about order, so old and new rows may come
 * interleaved, and no other view waits.  How far it got is in the catalog, so a
 * crash costs nothing but the attempt.
 *
 * For a view over the target, old means: inserted by a transaction older than
 * fill_xid, the one of the view's first epoch.  Every earlier epoch has committed
 * with an older id (the pipeline's row was locked in turn), every later one has a
 * newer.  Partitions are read in order of OID, blocks in order; rows that users
 * insert, change or delete meanwhile are theirs, as at any other time.
 *
 * For a view over the topic, old means: below the offsets at its first epoch; see
 * fill_topic.c.
 *
 * Runs as the view's owner.  Memory: one batch of rows.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ingest/pipeline.h"
#include "worker/settings.h"

#define STEP_BLOCKS		64		/* read between looks at the clock */
#define SLICE_ROWS		100000

/* Removes the groups that an earlier life of the view left. */
static void
empty_state(const PipelineView *view)
{
	Oid			relid = view->row->state_table;
	char	   *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	if (SPI_execute(psprintf("DELETE FROM %s", table), false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not empty %s", table);
	SPI_finish();
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

/* The books of a view over the topic begin with everything below the next offsets still to be read. */
static void
begin_books(Pipeline *pipeline, PipelineView *view)
{
	for (int i = 0; i < pipeline->npartitions; i++)
	{
		const PositionRow *position = &pipeline->partitions[i].committed;
		PositionRow *books = &view->now[i];

		memset(books, 0, sizeof(*books));
		books->partition = position->partition;
		books->next_offset = position->next_offset;
		books->fill_next = position->first_offset;
		books->fill_upto = position->next_offset;
		view_position_put(view->row->id, books);
	}
}

/* The view's first epoch: what is older than this transaction is to be filled in. */
void
fill_begin(Pipeline *pipeline, PipelineView *view)
{
	Identity	before = identity_become(view->owner, view->row->pinned);

	pipeline->attempt.stage = STAGE_FOLD;
	pipeline->attempt.view = view;
	empty_state(view);
	identity_restore(before);
	if (view->now != NULL)
		begin_books(pipeline, view);
	view->fill_now.xid = FullTransactionIdFromEpochAndXid(EpochFromFullTransactionId(ReadNextFullTransactionId()),
														  GetCurrentTransactionId());
	view->fill_now.relation = InvalidOid;
	view->fill_now.block = 0;
	pipeline->attempt.view = NULL;
	pipeline->attempt.stage = STAGE_NONE;
}

/* Folds the batch of old rows.  Nothing old is late; the lateness tells which windows count as open (caps.c). */
void
fill_fold(Pipeline *pipeline, PipelineView *view, FoldResult *result)
{
	live_view_fold(view->live, pipeline->old_rows, DT_NOBEGIN, view->row->lateness, result);
}

/* Columns of a leaf by the target's numbers: where they stand there, 0 for none. */
static AttrNumber *
leaf_columns(const Pipeline *pipeline, Relation leaf)
{
	TupleDesc	desc = pipeline->old_rows->desc;
	TupleConversionMap *map = convert_tuples_by_name(RelationGetDescr(leaf), desc);
	AttrNumber *columns = palloc(sizeof(AttrNumber) * Max(desc->natts, 1));

	for (int i = 0; i < desc->natts; i++)
		columns[i] = map != NULL ? map->attrMap->attnums[i] : i + 1;
	return columns;
}

/* Copies what the view reads of a tuple into the next row of the batch. */
static void
take_row(RowBatch *rows, const Bitmapset *needed, const AttrNumber *columns, TupleTableSlot *slot)
{
	Datum	   *values = row_values(rows, rows->nrows);
	bool	   *isnull = row_isnull(rows, rows->nrows);
	MemoryContext before = MemoryContextSwitchTo(rows->context);
	int			attnum = -1;

	while ((attnum = bms_next_member(needed, attnum)) >= 0)
	{
		Form_pg_attribute att = TupleDescAttr(rows->desc, attnum - 1);
		int			i = attnum - 1;

		isnull[i] = columns[i] == 0;
		if (!isnull[i])
			values[i] = slot_getattr(slot, columns[i], &isnull[i]);
		if (!isnull[i])
			values[i] = datumCopy(values[i], att->attbyval, att->attlen);
	}
	rows->records[rows->nrows++] = NULL;
	MemoryContextSwitchTo(before);
}

/* Whether the tuple is from before the view's first epoch. */
static bool
is_old(const PipelineView *view, TupleTableSlot *slot)
{
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, NULL);

	return TransactionIdPrecedes(HeapTupleHeaderGetXmin(tuple->t_data),
								 XidFromFullTransactionId(view->fill_now.xid));
}

/* Folds the old rows of some blocks; returns how many. */
static int64
fill_blocks(Pipeline *pipeline, PipelineView *view, Relation leaf, const AttrNumber *columns,
			BlockNumber first, BlockNumber last)
{
	RowBatch   *rows = pipeline->old_rows;
	TupleTableSlot *slot = table_slot_create(leaf, NULL);
	ItemPointerData from;
	ItemPointerData upto;
	TableScanDesc scan;
	FoldResult	result;
	int64		n = 0;

	ItemPointerSet(&from, first, FirstOffsetNumber);
	ItemPointerSet(&upto, last, MaxOffsetNumber);
	scan = table_beginscan_tidrange(leaf, GetActiveSnapshot(), &from, &upto);
	row_batch_reset(rows);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
	{
		if (!is_old(view, slot))
			continue;
		take_row(rows, view->spec->source_columns, columns, slot);
		n++;
		if (rows->nrows == rows->capacity)
		{
			fill_fold(pipeline, view, &result);
			row_batch_reset(rows);
		}
	}
	if (rows->nrows > 0)
		fill_fold(pipeline, view, &result);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return n;
}

/* Whether the slice has taken its share of the epoch. */
static bool
slice_is_full(TimestampTz began, int64 rows)
{
	return rows >= SLICE_ROWS ||
		TimestampDifferenceExceeds(began, GetCurrentTimestamp(), setting_epoch_interval);
}

/* Folds a leaf from fill_now.block on; false when the slice was full before its end. */
static bool
fill_leaf(Pipeline *pipeline, PipelineView *view, Relation leaf, TimestampTz began, int64 *rows)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(leaf);
	AttrNumber *columns = leaf_columns(pipeline, leaf);

	while (view->fill_now.block < nblocks)
	{
		BlockNumber first = (BlockNumber) view->fill_now.block;
		BlockNumber last = Min(first + STEP_BLOCKS, nblocks) - 1;

		if (slice_is_full(began, *rows))
			return false;
		CHECK_FOR_INTERRUPTS();
		*rows += fill_blocks(pipeline, view, leaf, columns, first, last);
		view->fill_now.block = (int64) last + 1;
	}
	return true;
}

/* Leaves are read in this order, whatever happens to the tree between slices. */
static int
compare_oids(const ListCell *a, const ListCell *b)
{
	return lfirst_oid(a) < lfirst_oid(b) ? -1 : lfirst_oid(a) > lfirst_oid(b);
}

/* A slice of the target's stored rows. */
static void
fill_from_table(Pipeline *pipeline, PipelineView *view)
{
	List	   *leaves = find_all_inheritors(view->spec->source_relid, AccessShareLock, NULL);
	TimestampTz began = GetCurrentTimestamp();
	int64		rows = 0;
	ListCell   *lc;

	list_sort(leaves, compare_oids);
	foreach(lc, leaves)
	{
		Relation	leaf;
		bool		done = true;

		if (lfirst_oid(lc) < view->fill_now.relation)
			continue;
		if (lfirst_oid(lc) != view->fill_now.relation)
			view->fill_now.block = 0;
		view->fill_now.relation = lfirst_oid(lc);
		leaf = table_open(lfirst_oid(lc), NoLock);
		if (leaf->rd_rel->relkind == RELKIND_RELATION)
			done = fill_leaf(pipeline, view, leaf, began, &rows);
		table_close(leaf, NoLock);
		if (!done)
			return;
	}
	view->filled_now = true;
}

/* A slice in the transaction of the epoch at hand; the view's owner is current. */
void
fill_slice(Pipeline *pipeline, PipelineView *view)
{
	if (pipeline->old_rows == NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(pipeline->context);

		pipeline->old_rows = row_batch_create(pipeline->chunk.rows->desc, CHUNK_ROWS);
		MemoryContextSwitchTo(before);
	}
	if (pipeline_stores(pipeline))
		fill_from_table(pipeline, view);
	else
		fill_from_topic(pipeline, view);
	if (view->filled_now)
		view_set_state(view->row->id, STATE_RUNNING, NULL, NULL);
	else
		view_set_fill(view->row->id, &view->fill_now);
}

/* Whether a view waits for older rows. */
bool
fill_is_pending(const Pipeline *pipeline)
{
	for (int i = 0; i < pipeline->nviews; i++)
		if (pipeline->views[i].live != NULL && pipeline->views[i].filling)
			return true;
	return false;
}

/* Whether an epoch now would get on with it: a table always, a topic when records have come. */
bool
fill_has_work(Pipeline *pipeline)
{
	for (int i = 0; i < pipeline->nviews; i++)
	{
		PipelineView *view = &pipeline->views[i];

		if (view->live == NULL || !view->filling)
			continue;
		if (pipeline_stores(pipeline) || !FullTransactionIdIsValid(view->fill_committed.xid) ||
			fill_poll_topic(pipeline, view))
			return true;
	}
	return false;
}

/* The transaction has committed: so have the slices. */
void
fill_committed(Pipeline *pipeline)
{
	if (pipeline->old_batch != NULL)
		batch_release(pipeline->old_batch, pipeline->old_taken);
	pipeline->old_taken = 0;
	for (int i = 0; i < pipeline->nviews; i++)
	{
		PipelineView *view = &pipeline->views[i];

		if (view->live == NULL || !view->filling)
			continue;
		view->fill_committed = view->fill_now;
		if (view->filled_now)
		{
			view->filling = false;
			view->row->state = STATE_RUNNING;
		}
		if (view->now != NULL)
			memcpy(view->committed, view->now, sizeof(PositionRow) * pipeline->npartitions);
	}
}
