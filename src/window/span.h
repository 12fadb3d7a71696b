/*
 * span.h
 *		Arithmetic of timestamps that saturates at the ends of the calendar.
 *
 * Times and lengths are microseconds in 64 bits, as the server keeps them; the two
 * infinities are its own.
 */
#ifndef DELTAFLOW_WINDOW_SPAN_H
#define DELTAFLOW_WINDOW_SPAN_H

#include "common/int.h"
#include "datatype/timestamp.h"

#include "window/refusal.h"

/* A time of the calendar, or the infinity beyond which it lies. */
static inline int64
time_in_calendar(int64 time)
{
	if (time < MIN_TIMESTAMP)
		return DT_NOBEGIN;
	return time < END_TIMESTAMP ? time : DT_NOEND;
}

/* time + length, both ways; infinite times stay where they are. */
static inline int64
time_plus(int64 time, int64 length)
{
	int64		sum;

	if (TIMESTAMP_NOT_FINITE(time))
		return time;
	if (pg_add_s64_overflow(time, length, &sum))
		return length < 0 ? DT_NOBEGIN : DT_NOEND;
	return time_in_calendar(sum);
}

/* later - earlier, which may need all 64 bits.  Both finite, in that order. */
static inline uint64
time_between(int64 earlier, int64 later)
{
	return (uint64) later - (uint64) earlier;
}

/* The rest of a division that rounds down: 0 <= rest < divisor. */
static inline int64
floor_rest(int64 value, int64 divisor)
{
	int64		rest = value % divisor;

	return rest < 0 ? rest + divisor : rest;
}

/*
 * The length of a positive interval without months, a day being 24 hours as in
 * date_bin.  What is refused is refused in the argument's name.
 */
extern WindowRefusal window_length(const Interval *interval, const char *argument, int64 *length);

#endif							/* DELTAFLOW_WINDOW_SPAN_H */
