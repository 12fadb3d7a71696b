/*
 * row_batch.c
 *		Memory of a batch of decoded rows.
 *
 * In come rows, written straight into the arrays by whoever makes them (a decoder,
 * a table scan); out they go to the target table and to every view, by pointer.
 *
 * Memory: struct and arrays come from the creating context and live as long as the
 * batch.  By-reference values belong in `context`, which
 * row_batch_reset empties, so the batch holds at most one load of them.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "ingest/row_batch.h"

/* Makes an empty batch of at most `capacity` rows shaped like `desc`. */
RowBatch *
row_batch_create(TupleDesc desc, int capacity)
{
	RowBatch   *batch = palloc0(sizeof(RowBatch));
	size_t		cells = (size_t) capacity * Max(desc->natts, 1);

	Assert(capacity > 0);

	batch->desc = desc;
	batch->natts = desc->natts;
	batch->capacity = capacity;
	batch->values = MemoryContextAllocHuge(CurrentMemoryContext, cells * sizeof(Datum));
	batch->isnull = MemoryContextAllocHuge(CurrentMemoryContext, cells * sizeof(bool));
	batch->records = MemoryContextAllocZero(CurrentMemoryContext,
											capacity * sizeof(KafkaRecord *));
	batch->context = AllocSetContextCreate(CurrentMemoryContext,
										   "deltaflow row batch",
										   ALLOCSET_DEFAULT_SIZES);

	/* columns nobody reads are never filled: they are NULL in every row */
	memset(batch->values, 0, cells * sizeof(Datum));
	memset(batch->isnull, true, cells * sizeof(bool));
	return batch;
}

/* Forgets the rows and frees what they point to. */
void
row_batch_reset(RowBatch *batch)
{
	batch->nrows = 0;
	MemoryContextReset(batch->context);
}

/* Frees the batch with everything in it. */
void
row_batch_destroy(RowBatch *batch)
{
	MemoryContextDelete(batch->context);
	pfree(batch->values);
	pfree(batch->isnull);
	pfree(batch->records);
	pfree(batch);
}
