/*
 * lateness.h
 *		From which watermark on a window takes no more rows.
 *
 * A row is late for a window when the window's limit, end + lateness, is not after the
 * watermark at the start of the row's epoch; for a session its own time + gap +
 * lateness counts.  A tumbling, hopping or cumulative window is final at its limit.  A
 * session is final at its end + gap + lateness: until then a row that is not late may
 * touch it.  Without a watermark (-infinity) nothing is late and nothing final.
 */
#ifndef DELTAFLOW_WINDOW_LATENESS_H
#define DELTAFLOW_WINDOW_LATENESS_H

#include "datatype/timestamp.h"

#include "window/span.h"

/* An interval as a length: a day is 24 hours and a month 30 days, in every time zone. */
static inline int64
lateness_length(const Interval *lateness)
{
	int64		days = (int64) lateness->month * DAYS_PER_MONTH + lateness->day;
	int64		length;

	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &length) ||
		pg_add_s64_overflow(length, lateness->time, &length))
		return days < 0 ? PG_INT64_MIN : PG_INT64_MAX;
	return length;
}

/* end + lateness; infinity beyond the calendar. */
static inline int64
lateness_limit(int64 end, int64 lateness)
{
	return time_plus(end, lateness);
}

/* Whether a watermark has reached a limit. */
static inline bool
lateness_reached(int64 limit, int64 watermark)
{
	return watermark != DT_NOBEGIN && limit <= watermark;
}

/* Is a row late for the window that ends there? */
static inline bool
late_for_window(int64 end, int64 lateness, int64 watermark)
{
	return lateness_reached(lateness_limit(end, lateness), watermark);
}

/* Is a row late for every session it could be in? */
static inline bool
late_for_sessions(int64 time, int64 gap, int64 lateness, int64 watermark)
{
	return lateness_reached(lateness_limit(time_plus(time, gap), lateness), watermark);
}

/* Has a window that ends there its last value? */
static inline bool
window_is_final(int64 end, int64 lateness, int64 watermark)
{
	return late_for_window(end, lateness, watermark);
}

/* Has a session whose last row is there?  Its end is last + gap. */
static inline bool
session_is_final(int64 last, int64 gap, int64 lateness, int64 watermark)
{
	return late_for_sessions(time_plus(last, gap), gap, lateness, watermark);
}

#endif							/* DELTAFLOW_WINDOW_LATENESS_H */
