/*
 * span.c
 *		Intervals as lengths.
 *
 * In comes an interval as the user wrote it, out goes its number of microseconds, or
 * why it has none.  Windows of a fixed length need one: a day is 24 hours here, as
 * for date_bin, and a month is refused.
 */
#include "postgres.h"

#include "window/span.h"

/* 17 and later have infinite intervals: all fields at one end. */
static bool
is_infinite(const Interval *interval)
{
	return (interval->month == PG_INT32_MAX && interval->day == PG_INT32_MAX && interval->time == PG_INT64_MAX) ||
		(interval->month == PG_INT32_MIN && interval->day == PG_INT32_MIN && interval->time == PG_INT64_MIN);
}

WindowRefusal
window_length(const Interval *interval, const char *argument, int64 *length)
{
	WindowRefusal refusal = {WINDOW_ACCEPTED, argument};

	if (is_infinite(interval))
		refusal.code = WINDOW_IS_INFINITE;
	else if (interval->month != 0)
		refusal.code = WINDOW_HAS_MONTHS;
	else if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, length) ||
			 pg_add_s64_overflow(*length, interval->time, length))
		refusal.code = interval->day < 0 ? WINDOW_NOT_POSITIVE : WINDOW_TOO_LONG;
	else if (*length <= 0)
		refusal.code = WINDOW_NOT_POSITIVE;
	return refusal;
}
