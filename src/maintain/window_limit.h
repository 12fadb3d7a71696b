/*
 * window_limit.h
 *		When the windows of a view end, and from which watermark on they are closed.
 */
#ifndef DELTAFLOW_MAINTAIN_WINDOW_LIMIT_H
#define DELTAFLOW_MAINTAIN_WINDOW_LIMIT_H

#include "datatype/timestamp.h"

#include "view/view_spec.h"

typedef struct WindowLimits WindowLimits;

typedef struct WindowLimit
{
	TimestampTz start;
	TimestampTz end;
	TimestampTz limit;			/* end + lateness: closed once this <= watermark */
} WindowLimit;						/* of a pane: its start and end, and the limit of its first window */

/* Lives in CurrentMemoryContext. */
extern WindowLimits *window_limits_create(const ViewSpec *spec);

/* NULL: none.  True: it is another lateness than before, limits known are void. */
extern bool window_limits_set_lateness(WindowLimits *limits, const Interval *lateness);

/* Of the window that starts there.  Valid until the next call. */
extern const WindowLimit *window_limits_of(WindowLimits *limits, Datum start);

/* end + lateness of any end; above all watermarks but the last when it cannot be written down. */
extern TimestampTz window_limits_add_lateness(const WindowLimits *limits, TimestampTz end);

extern bool window_limits_has_lateness(const WindowLimits *limits);

/* About how many microseconds the lateness has, never too few. */
extern int64 window_limits_late_span(const WindowLimits *limits);

#endif							/* DELTAFLOW_MAINTAIN_WINDOW_LIMIT_H */
