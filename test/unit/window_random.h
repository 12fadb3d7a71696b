/*
 * window_random.h
 *		Random times and lengths that look for trouble: edges of windows, the ends of
 *		the calendar, the epoch, the infinities.  The seed is printed; UNIT_SEED sets it.
 */
#ifndef DELTAFLOW_TEST_WINDOW_RANDOM_H
#define DELTAFLOW_TEST_WINDOW_RANDOM_H

#include <stdlib.h>
#include <time.h>

#include "datatype/timestamp.h"
#include "tap.h"

/* postgres.h put its own in their place */
#undef printf
#undef qsort

typedef __int128 wide;			/* what the models compute in: nothing overflows */

static uint64 random_state;

/* Begins with a seed of its own, or the one given. */
static inline uint64
random_begin(void)
{
	const char *given = getenv("UNIT_SEED");
	uint64		seed = given ? strtoull(given, NULL, 10) : (uint64) time(NULL);

	printf("# UNIT_SEED=%llu\n", (unsigned long long) seed);
	random_state = seed;
	return seed;
}

/* splitmix64 */
static inline uint64
random_bits(void)
{
	uint64		z = (random_state += UINT64CONST(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* From low to high, both included. */
static inline int64
random_between(int64 low, int64 high)
{
	uint64		width = (uint64) high - (uint64) low + 1;

	return (int64) ((uint64) low + (width == 0 ? random_bits() : random_bits() % width));
}

/* A positive length up to a random power of two. */
static inline int64
random_length(void)
{
	int64		length = (int64) (random_bits() >> random_between(1, 63));

	return length > 0 ? length : 1;
}

/* A time of the calendar. */
static inline int64
random_finite_time(void)
{
	int64		time;

	switch (random_between(0, 5))
	{
		case 0:
			return random_between(MIN_TIMESTAMP, END_TIMESTAMP - 1);
		case 1:
			time = MIN_TIMESTAMP + random_length();
			break;
		case 2:
			time = END_TIMESTAMP - random_length();
			break;
		default:
			time = random_between(0, 1) ? random_length() : -random_length();
	}
	return time < MIN_TIMESTAMP || time >= END_TIMESTAMP ? random_between(-100, 100) : time;
}

/* Any time. */
static inline int64
random_time(void)
{
	if (random_between(0, 60) == 0)
		return random_between(0, 1) ? DT_NOBEGIN : DT_NOEND;
	return random_finite_time();
}

/* A wide time, cut at the ends of the calendar. */
static inline int64
cut(wide time)
{
	if (time < MIN_TIMESTAMP)
		return DT_NOBEGIN;
	return time >= END_TIMESTAMP ? DT_NOEND : (int64) time;
}

/* A length as an interval: its days may be apart, and may outweigh its time. */
static inline Interval
as_interval(int64 length)
{
	Interval	interval = {.time = length};
	int64		days = length / USECS_PER_DAY;

	if (days < PG_INT32_MAX - 1 && random_between(0, 1))
	{
		interval.day = (int32) days + (days > 0 && random_between(0, 3) == 0);
		interval.time = length - interval.day * USECS_PER_DAY;
	}
	return interval;
}

#endif							/* DELTAFLOW_TEST_WINDOW_RANDOM_H */
