/*
 * window_key.h
 *		A grouping expression that is a window of event time.
 */
#ifndef DELTAFLOW_VIEW_WINDOW_KEY_H
#define DELTAFLOW_VIEW_WINDOW_KEY_H

#include "datatype/timestamp.h"

#include "view/view_spec.h"
#include "window/pane.h"

/* True when the expression is date_bin or date_trunc with a constant width; fills kind, time, time_type and end. */
extern bool window_recognise(Expr *key, WindowSpec *window);

/* The start of the window that holds a time (on the view's scale), by the definition's own expression; of date_bin and date_trunc. */
extern Timestamp window_start_at(const ViewSpec *spec, Timestamp time);

/*
 * The first time whose window begins at start.  It is before start where clocks were set back over midnight: date_trunc takes
 * the second of two midnights, for the hour between them as well.
 */
extern Timestamp window_first_time(const ViewSpec *spec, Timestamp start);

/* The first window that ends after that time; false: there is none, or the view's windows are no such. */
extern bool window_ending_after(const ViewSpec *spec, Timestamp time, WindowBounds *window);

/* End of the window that begins at start; infinity where the calendar ends.  zone NULL: the session's. */
extern Timestamp window_end_trunc(Timestamp start, const char *unit);
extern TimestampTz window_end_trunc_tz(TimestampTz start, const char *unit, const char *zone);

#endif							/* DELTAFLOW_VIEW_WINDOW_KEY_H */
