/*
 * watermark.c
 *		The watermark of a source with several partitions.
 *
 * In come what each partition has shown, the rule and the clock; out goes the next
 * watermark.  It is asked at the boundary of an epoch and nowhere else, so which rows
 * are late follows from the log of epochs.
 *
 * A partition that takes part but has shown no event time yet holds the watermark
 * where it is: nobody can say how far it will begin behind the others.  When all are
 * idle it stays as well.
 */
#include "postgres.h"

#include "window/span.h"
#include "window/watermark.h"

bool
watermark_believes(const WatermarkRule *rule, int64 event_time, int64 written, int64 now)
{
	int64		limit = Max(now, written);

	if (TIMESTAMP_IS_NOEND(event_time))
		return false;
	return event_time <= limit || time_between(limit, event_time) <= (uint64) rule->max_future;
}

bool
watermark_is_idle(const WatermarkRule *rule, const WatermarkPartition *partition, int64 now)
{
	if (!partition->at_end || partition->active || rule->idle_timeout <= 0)
		return false;
	return now >= partition->active_at &&
		time_between(partition->active_at, now) >= (uint64) rule->idle_timeout;
}

void
watermark_least_begin(WatermarkLeast *least)
{
	least->least = DT_NOEND;
	least->unknown = false;
}

void
watermark_least_add(WatermarkLeast *least, const WatermarkRule *rule,
					const WatermarkPartition *partition, int64 now)
{
	if (watermark_is_idle(rule, partition, now))
		return;
	if (TIMESTAMP_IS_NOBEGIN(partition->max_event_time))
		least->unknown = true;
	else
		least->least = Min(least->least, time_plus(partition->max_event_time, -rule->delay));
}

int64
watermark_next(const WatermarkLeast *least, int64 current)
{
	if (least->unknown || TIMESTAMP_IS_NOEND(least->least))
		return current;
	return Max(least->least, current);
}
