/*
 * row_batch.h
 *		Rows of one relation between decode and the views that fold them.
 *
 * Row-major: row i's columns are values[i * natts ..].  A virtual slot is pointed
 * at a row, nothing is copied.  The batch is small (about a thousand rows) so that
 * it stays in the processor's cache from decode to fold.
 */
#ifndef DELTAFLOW_INGEST_ROW_BATCH_H
#define DELTAFLOW_INGEST_ROW_BATCH_H

#include "access/tupdesc.h"

#include "kafka/record.h"

typedef struct RowBatch
{
	TupleDesc	desc;			/* of the relation that views read: target table or topic */
	int			natts;
	int			nrows;
	int			capacity;
	Datum	   *values;			/* capacity * natts */
	bool	   *isnull;
	const bool *skip;			/* rows that are none of the reader's; NULL: all are */
	const KafkaRecord **records;	/* where each row came from; NULL entries when rows come from a table */
	MemoryContext context;		/* by-reference values; reset by row_batch_reset */
} RowBatch;

extern RowBatch *row_batch_create(TupleDesc desc, int capacity);	/* in CurrentMemoryContext */
extern void row_batch_reset(RowBatch *batch);
extern void row_batch_destroy(RowBatch *batch);

static inline Datum *
row_values(const RowBatch *batch, int row)
{
	return batch->values + (size_t) row * batch->natts;
}

static inline bool *
row_isnull(const RowBatch *batch, int row)
{
	return batch->isnull + (size_t) row * batch->natts;
}

#endif							/* DELTAFLOW_INGEST_ROW_BATCH_H */
