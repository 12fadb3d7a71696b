/*
 * batch.h
 *		A view's definition over stored rows: run elsewhere, recompute in place,
 *		reconcile live against batch.
 *
 * The callers (src/api/batch_api.c) have checked privileges.  Names are resolved
 * with the caller's search_path; the definition runs under the view's pinned
 * settings.
 */
#ifndef DELTAFLOW_BATCH_BATCH_H
#define DELTAFLOW_BATCH_BATCH_H

#include "batch/range.h"
#include "catalog/catalog.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/jsonb.h"

/*
 * Runs the definition as the current user over range, with sources and params
 * replaced (NULL: none), and replaces that range in the table named target, which
 * is made when absent.  Rows written.
 */
extern int64 batch_run(const ViewRow *view, const char *target, const TimeRange *range,
					   Jsonb *sources, Jsonb *params);

/* Corrects the live view in place from the stored rows.  Rows of it that changed. */
extern int64 batch_recompute(const ViewRow *view, const TimeRange *range);

/* The rows in which live and batch differ, as (side, reason, row_data), into a materialized result. */
extern void batch_reconcile(const ViewRow *view, const TimeRange *range, ReturnSetInfo *result);

/*
 * How far rows of a topic, or of the target of an ingest, are behind in log order, as
 * (partition, rows, delay, rows behind, share that is not): at quantiles, or for the
 * delays given (NULL: none), of windows of a size (NULL: of rows themselves).
 */
extern void batch_lateness_report(Oid relid, ArrayType *delays, const Interval *size, ReturnSetInfo *result);

#endif							/* DELTAFLOW_BATCH_BATCH_H */
