/*
 * window_table.h
 *		Stored groups of a view by the start of their window: walking and removing.
 */
#ifndef DELTAFLOW_MAINTAIN_WINDOW_TABLE_H
#define DELTAFLOW_MAINTAIN_WINDOW_TABLE_H

#include "access/genam.h"
#include "access/stratnum.h"

#include "maintain/state_table.h"

/* The greatest start below `bound`, or at it; false: there is none. */
extern bool window_table_below(StateTable *table, const ViewSpec *spec, TimestampTz bound, bool at_bound, TimestampTz *start);

/*
 * Removes rows in the order of their starts, beginning at `from` (DT_NOBEGIN: the
 * oldest), for as long as expired() says so, at most max_rows.  *start is that of the
 * last row removed.  Returns rows removed; fewer than max_rows: there is no more.
 */
typedef bool (*WindowExpired) (void *arg, TimestampTz start);
extern int64 window_table_remove(StateTable *table, const ViewSpec *spec, TimestampTz from, int64 max_rows,
								 WindowExpired expired, void *arg, TimestampTz *start);

/*
 * A walk over stored rows by a column of times that leads an index, beginning where
 * `time <strategy> bound` does.  The row at hand is in slot, valid until the next.
 */
typedef struct TimeWalk
{
	Relation	relation;
	Snapshot	snapshot;
	AttrNumber	column;
	IndexScanDesc scan;
	TupleTableSlot *slot;
} TimeWalk;

extern void time_walk_begin(TimeWalk *walk, const StateTableParts *parts, Relation index, Oid type, AttrNumber column,
							StrategyNumber strategy, TimestampTz bound);
extern bool time_walk_next(TimeWalk *walk, ScanDirection direction, TimestampTz *time);
extern void time_walk_remove(TimeWalk *walk);	/* the row at hand */
extern void time_walk_end(TimeWalk *walk);

#endif							/* DELTAFLOW_MAINTAIN_WINDOW_TABLE_H */
