/*
 * watermark.h
 *		Event time up to which a source is believed complete.
 *
 *		watermark = least of (greatest event time - delay) over the partitions that
 *					are not idle; it never falls
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

/* What a partition has shown. */
typedef struct WatermarkPartition
{
	int64		max_event_time; /* DT_NOBEGIN: none yet */
	bool		at_end;			/* all that its log holds is taken */
	bool		active;			/* records came in the epoch at hand */
	int64		active_at;		/* by the clock: when the last record was committed */
} WatermarkPartition;

/*
 * Whether an event time may move the watermark: it is finite above, and at most
 * max_future ahead of the clock or of the time at which the record was written
 * (DT_NOBEGIN: not known), whichever is later.
 */
extern bool watermark_believes(const WatermarkRule *rule, int64 event_time, int64 written, int64 now);

/*
 * Whether a partition takes no part.  Being slow is not being idle: there must be
 * nothing left to take.
 */
extern bool watermark_is_idle(const WatermarkRule *rule, const WatermarkPartition *partition, int64 now);

/*
 * The least over partitions, going through them one by one: partition by partition
 * into a WatermarkLeast, then the next watermark from the one before.
 */
typedef struct WatermarkLeast
{
	int64		least;			/* DT_NOEND: no partition took part */
	bool		unknown;		/* one that takes part has no event time yet */
} WatermarkLeast;

extern void watermark_least_begin(WatermarkLeast *least);
extern void watermark_least_add(WatermarkLeast *least, const WatermarkRule *rule,
								const WatermarkPartition *partition, int64 now);

/* The watermark after `current` (DT_NOBEGIN: none yet). */
extern int64 watermark_next(const WatermarkLeast *least, int64 current);

#endif							/* DELTAFLOW_WINDOW_WATERMARK_H */
