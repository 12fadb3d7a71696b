/*
 * range.h
 *		A range of event time, as a condition over the source and over a view's rows.
 */
#ifndef DELTAFLOW_BATCH_RANGE_H
#define DELTAFLOW_BATCH_RANGE_H

#include "datatype/timestamp.h"

#include "view/view_spec.h"

/* [since, until); an absent bound is open. */
typedef struct TimeRange
{
	bool		has_since;
	bool		has_until;
	TimestampTz since;
	TimestampTz until;
} TimeRange;

/*
 * ERROR unless both bounds stand on borders of the view's windows, in order: half a
 * window cannot be replaced.  To be called under the view's pinned settings, as are
 * the others.
 */
extern void range_check(const ViewSpec *spec, const TimeRange *range);

/* The condition over the source (Vars varno 1); NULL when open at both ends. */
extern Expr *range_over_source(const ViewSpec *spec, const TimeRange *range);

/*
 * The condition over rows that carry the window's start in this column, as SQL text
 * that begins with " WHERE"; "" when open at both ends.
 */
extern char *range_over_column(const ViewSpec *spec, const TimeRange *range, const char *column);

/* The live view's column that shows the window's start, NULL when it shows none. */
extern char *window_output_column(const ViewSpec *spec);

#endif							/* DELTAFLOW_BATCH_RANGE_H */
