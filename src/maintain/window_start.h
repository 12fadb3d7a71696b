/*
 * window_start.h
 *		The window's start of a row, remembered while rows stay in one window.
 */
#ifndef DELTAFLOW_MAINTAIN_WINDOW_START_H
#define DELTAFLOW_MAINTAIN_WINDOW_START_H

#include "nodes/execnodes.h"
#include "pgtime.h"

#include "maintain/window_limit.h"
#include "view/view_spec.h"

/* A span of event times that all have the same window. */
typedef struct WindowStart
{
	/* fixed */
	int			input;			/* the input column that it computes */
	int			source;			/* column of the event time, from 0 */
	ExprState  *start;
	WindowLimits *limits;
	bool		zoned;			/* follows the offsets of a time zone */
	const char *zone_name;		/* NULL: that of the session */
	Datum	   *values;			/* a row with nothing but an event time */
	bool	   *isnull;

	/* remembered: times from first to last have this start; first > last: nothing */
	int64		first;
	int64		last;
	Datum		value;
	pg_tz	   *zone;			/* by which it was found */
} WindowStart;

/* NULL: this start has to be computed for each row.  In CurrentMemoryContext. */
extern WindowStart *window_start_create(const ViewSpec *spec, Expr *start, WindowLimits *limits);

/* To be called before a batch: the session's time zone may be another. */
extern void window_start_check_zone(WindowStart *window);

/* The start for an event time, by evaluating it; `context` has the slot of rows. */
extern Datum window_start_compute(WindowStart *window, ExprContext *context, int64 time);

static inline Datum
window_start_of(WindowStart *window, ExprContext *context, Datum time)
{
	int64		at = DatumGetInt64(time);

	if (likely(at >= window->first && at <= window->last))
		return window->value;
	return window_start_compute(window, context, at);
}

#endif							/* DELTAFLOW_MAINTAIN_WINDOW_START_H */
