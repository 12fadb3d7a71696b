/*
 * live_rows.h
 *		What recompute and reconcile share: a view's spec and the rows it shows.
 */
#ifndef DELTAFLOW_BATCH_LIVE_ROWS_H
#define DELTAFLOW_BATCH_LIVE_ROWS_H

#include "batch/range.h"
#include "catalog/catalog.h"

/* The spec of a view that exists; ERROR when its definition cannot be kept any more. */
extern ViewSpec *live_rows_spec(const ViewRow *view);

/*
 * Until scan_bounds_clear(): scans of the view's topic give exactly the records that
 * the live view has taken, by the active snapshot.
 */
extern void live_rows_bound_topic(const ViewRow *view, const ViewSpec *spec);

/* schema.name, quoted */
extern char *live_rows_relation(Oid relid);

/* The condition on the live (and batch) view's rows that belong to the range; "" for all, also when the view does not show its window. */
extern char *live_rows_condition(const ViewSpec *spec, const TimeRange *range);

/* Keeps the range's live rows as they are now, for live_rows_count_changed(); SPI is connected, once per connection. */
extern void live_rows_remember(const ViewRow *view, const ViewSpec *spec, const TimeRange *range);

/* How many of the range's live rows are other than those remembered. */
extern int64 live_rows_count_changed(const ViewRow *view, const ViewSpec *spec, const TimeRange *range);

#endif							/* DELTAFLOW_BATCH_LIVE_ROWS_H */
