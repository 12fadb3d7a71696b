/*
 * session_recompute.h
 *		Sessions of a range made anew from the source.
 */
#ifndef DELTAFLOW_BATCH_SESSION_RECOMPUTE_H
#define DELTAFLOW_BATCH_SESSION_RECOMPUTE_H

#include "batch/range.h"
#include "catalog/catalog.h"
#include "maintain/live_view.h"

/*
 * As batch_recompute, for a range with at least one bound: SPI is connected, the view's
 * owner is current, scans of a topic are bounded.  Live rows that changed.
 */
extern int64 session_recompute(const ViewRow *view, const ViewSpec *spec, const TimeRange *range, size_t cache_bytes);

#endif							/* DELTAFLOW_BATCH_SESSION_RECOMPUTE_H */
