/*
 * watermark.h
 *		Event time up to which a source is believed complete.
 *
 *		a partition's	greatest event time - delay
 *		the source's	the least of them over partitions that are not idle; when all
 *						are idle, the greatest; it never falls
 *
 * Times are the server's: microseconds since 2000, -infinity for none.  The clock is
 * an argument.
 */
#ifndef DELTAFLOW_WINDOW_WATERMARK_H
#define DELTAFLOW_WINDOW_WATERMARK_H

#include "datatype/timestamp.h"

/* What a source's options say. */
typedef struct WatermarkRule
{
	int64		delay;
	int64		max_future;		/* an event time so far ahead is still believed */
	int64		idle_timeout;	/* 0: a partition is never idle */
} WatermarkRule;

/* The source's watermark in the making: partitions are added one by one. */
typedef struct Watermark
{
	int64		least;			/* of partitions that take part; DT_NOEND: none */
	int64		greatest_idle;	/* of the others; DT_NOBEGIN: none */
	bool		unknown;		/* one that takes part has no event time yet */
} Watermark;

/*
 * Whether an event time is too far ahead to move the watermark: infinite, or more than
 * max_future ahead of the clock and of the time at which the broker took the record
 * (DT_NOBEGIN: not known).
 */
extern bool watermark_is_future(const WatermarkRule *rule, int64 event_time, int64 taken_at, int64 now);

/* Whether a partition without new records since `active_at`, by the clock, is silent. */
extern bool watermark_is_silent(const WatermarkRule *rule, int64 active_at, int64 now);

/* max_event_time: the greatest that is believed; DT_NOBEGIN: none yet. */
extern void watermark_begin(Watermark *watermark);
extern void watermark_add(Watermark *watermark, const WatermarkRule *rule, int64 max_event_time, bool idle);

/* The watermark after `current` (DT_NOBEGIN: there was none yet). */
extern int64 watermark_next(const Watermark *watermark, int64 current);

#endif							/* DELTAFLOW_WINDOW_WATERMARK_H */
