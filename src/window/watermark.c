/*
 * watermark.c
 *		The watermark of a source with several partitions.
 *
 * In come what each partition has shown and whether it is idle; out goes the next
 * watermark.  It is asked at the boundary of an epoch and nowhere else, so which rows
 * are late follows from the log of epochs.
 *
 * A partition that takes part but has shown no event time yet holds the watermark
 * where it is: nobody can say how far it will begin behind the others.
 */
#include "postgres.h"

#include "window/span.h"
#include "window/watermark.h"

bool
watermark_is_future(const WatermarkRule *rule, int64 event_time, int64 taken_at, int64 now)
{
	int64		limit = Max(now, taken_at);

	if (TIMESTAMP_IS_NOEND(event_time))
		return true;
	return event_time > limit && time_between(limit, event_time) > (uint64) rule->max_future;
}

bool
watermark_is_silent(const WatermarkRule *rule, int64 active_at, int64 now)
{
	return rule->idle_timeout > 0 && now >= active_at &&
		time_between(active_at, now) >= (uint64) rule->idle_timeout;
}

void
watermark_begin(Watermark *watermark)
{
	watermark->least = DT_NOEND;
	watermark->greatest_idle = DT_NOBEGIN;
	watermark->unknown = false;
}

/* A partition's own; there is an event time, so there is a watermark. */
static int64
own_watermark(int64 max_event_time, int64 delay)
{
	return Max(time_plus(max_event_time, -delay), MIN_TIMESTAMP);
}

void
watermark_add(Watermark *watermark, const WatermarkRule *rule, int64 max_event_time, bool idle)
{
	bool		any = !TIMESTAMP_IS_NOBEGIN(max_event_time);
	int64		own = any ? own_watermark(max_event_time, rule->delay) : DT_NOBEGIN;

	if (idle)
		watermark->greatest_idle = Max(watermark->greatest_idle, own);
	else if (any)
		watermark->least = Min(watermark->least, own);
	else
		watermark->unknown = true;
}

int64
watermark_next(const Watermark *watermark, int64 current)
{
	int64		next = TIMESTAMP_IS_NOEND(watermark->least) ? watermark->greatest_idle : watermark->least;

	return watermark->unknown ? current : Max(next, current);
}
