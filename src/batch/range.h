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
 * ERROR unless both bounds stand on borders of the view's windows (of panes, where
 * windows overlap), in order: half of one cannot be replaced.  To be called under the
 * view's pinned settings, as are the others.
 */
extern void range_check(const ViewSpec *spec, const TimeRange *range);

/* The condition over the source (Vars varno 1); NULL when open at both ends. */
extern Expr *range_over_source(const ViewSpec *spec, const TimeRange *range);

/*
 * The conditions for the windows that begin in the range, over the source and, where
 * windows overlap, the window's columns (Vars of WINDOW_VARNO).
 */
extern List *range_over_definition(const ViewSpec *spec, const TimeRange *range);

/* The range in which windows begin that have rows of this range. */
extern TimeRange range_of_windows(const ViewSpec *spec, const TimeRange *range);

/*
 * The part of the range in which windows are kept: those that begin before the horizon
 * (on the view's own scale; DT_NOBEGIN: none) were removed, and sessions that end at or
 * before it.  The first is an ERROR when the range asks for such windows; the second is
 * false when nothing is left.
 */
extern void range_check_kept(const ViewSpec *spec, Timestamp horizon, TimeRange *range);
extern bool range_limit_kept(const ViewSpec *spec, Timestamp horizon, TimeRange *range);

/*
 * The condition over rows of the live or batch view for those of the range (see
 * range_over_output) that are kept; NULL when none is, "" for all.
 */
extern char *range_over_kept_output(const ViewSpec *spec, Timestamp horizon, TimeRange *range);

/*
 * The condition over rows that carry the window's (the pane's) start in this column,
 * as SQL text that begins with " WHERE"; "" when open at both ends.
 */
extern char *range_over_column(const ViewSpec *spec, const TimeRange *range, const char *column);

/*
 * The condition over rows of the live or batch view: windows that begin in the range.
 * NULL when the view does not show its windows.
 */
extern char *range_over_output(const ViewSpec *spec, const TimeRange *range);

/* The bound as a value of the view's time type. */
extern Timestamp range_bound(const ViewSpec *spec, TimestampTz bound);

/* A time as a quoted SQL literal of timestamptz or timestamp. */
extern char *range_literal(Timestamp at, Oid type);

#endif							/* DELTAFLOW_BATCH_RANGE_H */
