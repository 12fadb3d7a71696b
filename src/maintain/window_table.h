/*
 * window_table.h
 *		Stored groups of a view by the start of their window: walking and removing.
 */
#ifndef DELTAFLOW_MAINTAIN_WINDOW_TABLE_H
#define DELTAFLOW_MAINTAIN_WINDOW_TABLE_H

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

#endif							/* DELTAFLOW_MAINTAIN_WINDOW_TABLE_H */
