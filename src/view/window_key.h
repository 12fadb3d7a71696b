/*
 * window_key.h
 *		A grouping expression that is a window of event time.
 */
#ifndef DELTAFLOW_VIEW_WINDOW_KEY_H
#define DELTAFLOW_VIEW_WINDOW_KEY_H

#include "datatype/timestamp.h"

#include "view/view_spec.h"

/* True when the expression is date_bin or date_trunc with a constant width; fills kind, time, time_type and end. */
extern bool window_recognise(Expr *key, WindowSpec *window);

/* End of the window that begins at start; infinity where the calendar ends.  zone NULL: the session's. */
extern Timestamp window_end_trunc(Timestamp start, const char *unit);
extern TimestampTz window_end_trunc_tz(TimestampTz start, const char *unit, const char *zone);

#endif							/* DELTAFLOW_VIEW_WINDOW_KEY_H */
