/*
 * target.h
 *		Writing rows into the target as COPY would: constraints, defaults done
 *		before, generated columns, partitions, indexes, triggers.
 */
#ifndef DELTAFLOW_INGEST_TARGET_H
#define DELTAFLOW_INGEST_TARGET_H

#include "executor/tuptable.h"

#include "format/format.h"
#include "ingest/row_batch.h"

typedef struct Target Target;

/* Slots that outlive the transaction: making and freeing a thousand costs as much as storing their rows. */
typedef struct SlotPool
{
	MemoryContext context;
	TupleDesc	desc;			/* the target's columns; not reference-counted */
	const TupleTableSlotOps *ops;	/* of the table's access method, NULL: none made yet */
	int			capacity;
	int			nslots;			/* made */
	int			nused;			/* holding rows of the batch at hand */
	TupleTableSlot **slots;
} SlotPool;

/* In CurrentMemoryContext; desc must live as long. */
extern SlotPool *slot_pool_create(TupleDesc desc, int capacity);

/* What the store did with a row. */
typedef enum RowFate
{
	ROW_STORED,
	ROW_SKIPPED,				/* a BEFORE ROW trigger said no */
	ROW_REFUSED					/* a constraint did; the refusal says which */
} RowFate;

/*
 * For the rest of the transaction deferrable constraints and triggers act at the
 * end of each statement: at commit they would run as whoever commits, and the
 * server forbids to defer them in a security-restricted operation.
 */
extern void target_nothing_deferred(void);

/* ERROR when the policies of a table's row-level security are for its owner too: the store would pass them by. */
extern void target_check_row_security(Relation target);

/*
 * Opens the table for one transaction, in a child of CurrentMemoryContext, and
 * fires BEFORE STATEMENT triggers.  A batch has at most the pool's capacity.
 */
extern Target *target_begin(Oid relid, SlotPool *pool, bool one_by_one);

/* The table's columns as they are now. */
extern TupleDesc target_columns(const Target *target);

/*
 * Stores the rows of the batch.  fates[] and, for refused rows, refusals[] get one
 * entry per row.  Values in the batch become those stored (generated columns,
 * BEFORE ROW triggers); they stay valid until the next call.  *current is the row
 * being worked on, -1 when no particular one is, for whoever catches an error.
 */
extern void target_store(Target *target, RowBatch *rows, RowFate *fates, Refusal *refusals, int *current);

/* Fires AFTER triggers and closes the table, keeping its lock. */
extern void target_end(Target *target);

#endif							/* DELTAFLOW_INGEST_TARGET_H */
