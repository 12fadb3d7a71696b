/*
 * event_time.c
 *		The watermark of a pipeline: how far event time is believed complete.
 *
 * In come the event times of rows, ends of partitions, and the clock; out goes one
 * time per epoch (DESIGN 11):
 *
 *	 per partition		greatest event time - watermark_delay
 *	 the source's		the least of them over partitions that are not idle; when
 *						all are idle, the greatest
 *
 * It never falls: a partition that is new, or speaks again after it was idle, holds
 * it where it is.  It is decided once per attempt, in progress_write, and what rows
 * are judged by is always the one stored with the epoch before.
 *
 * Idle is a partition that
 *	- has been silent for idle_timeout, by the injectable clock, and
 *	- has nothing in its log that was not taken: we have met its end, and the broker
 *	  was asked within the last moments and said the same.
 * So neither a consumer that lags behind nor a broker that does not answer makes a
 * partition idle.  The broker is asked (event_time_look) outside of transactions,
 * and only when the answer would move the watermark.
 *
 * The future guard: an event time more than max_future ahead of the clock, or of the
 * time at which the broker itself received the record, does not move the watermark.
 * A time that the producer stamped is as good as its clock, so it is no witness.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/timestamp.h"

#include "clock.h"
#include "compat.h"
#include "ingest/pipeline.h"

#define CONFIRMED_FOR_MS	5000	/* how long the broker's word counts */
#define ASK_AGAIN_MS		1000	/* when it said that more follows */
#define NO_ANSWER_MS		30000	/* when it did not answer */

/* ---- the future guard ---- */

/* Whether the event time is further ahead than is believed. */
bool
event_time_is_future(const Pipeline *pipeline, const KafkaRecord *record, TimestampTz event_time)
{
	TimestampTz limit = pipeline->attempt.clock;
	TimestampTz appended;

	if (event_time <= limit)
		return false;
	if (record->broker_time && record_time(record, &appended) && appended > limit)
		limit = appended;
	return TIMESTAMP_IS_NOEND(event_time) ||
		(event_time > limit && (uint64) event_time - (uint64) limit > (uint64) pipeline->topic->max_future);
}

/* Notes the event time of a row that counts; DT_NOBEGIN: it has none. */
void
event_time_saw(Pipeline *pipeline, const KafkaRecord *record, TimestampTz event_time)
{
	PositionRow *now = &pipeline_partition(pipeline, record->partition)->now;

	if (event_time <= now->max_event_time)
		return;
	if (event_time_is_future(pipeline, record, event_time))
		now->future++;
	else
		now->max_event_time = event_time;
}

/* ---- idleness ---- */

/* Whether silence counts at all. */
static bool
has_idleness(const Pipeline *pipeline)
{
	return pipeline->topic->event_time != 0 && pipeline->topic->idle_timeout > 0;
}

/* Whether the last fetch told of something behind what was taken. */
static bool
is_behind(const Pipeline *pipeline, const Partition *partition)
{
	int64		low;
	int64		high;

	return consumer_cached_range(pipeline->consumer, partition->now.partition, &low, &high) &&
		high > partition->now.next_offset;
}

/*
 * Whether a partition is silent and, for all we know, at its end.  In run_once,
 * where the end may not have been met yet, the broker's word alone decides.
 */
static bool
seems_idle(const Pipeline *pipeline, const Partition *partition, TimestampTz clock)
{
	return partition->records == 0 &&
		(partition->at_end_now || pipeline->nested) &&
		clock - partition->now.active_at >= pipeline->topic->idle_timeout &&
		!is_behind(pipeline, partition);
}

/* Whether the broker has confirmed that of late. */
static bool
is_confirmed(const Partition *partition)
{
	return partition->confirmed_at != 0 &&
		!TimestampDifferenceExceeds(partition->confirmed_at, GetCurrentTimestamp(), CONFIRMED_FOR_MS);
}

bool
event_time_is_idle(const Pipeline *pipeline, const Partition *partition)
{
	return has_idleness(pipeline) && is_confirmed(partition) &&
		seems_idle(pipeline, partition, clock_now());
}

/* ---- the watermark ---- */

/* A partition's own: there is an event time. */
static TimestampTz
own_watermark(const Partition *partition, int64 delay)
{
	TimestampTz greatest = partition->now.max_event_time;

	return greatest < MIN_TIMESTAMP + delay ? MIN_TIMESTAMP : greatest - delay;
}

typedef bool (*IsIdle) (const Pipeline *pipeline, const Partition *partition);

/* The source's, with idle partitions left out; what it was when that is not known to be less. */
static TimestampTz
source_watermark(const Pipeline *pipeline, IsIdle is_idle)
{
	TimestampTz before = pipeline->row->watermark;
	TimestampTz least = DT_NOEND;
	TimestampTz greatest_idle = DT_NOBEGIN;

	for (int i = 0; i < pipeline->npartitions; i++)
	{
		const Partition *partition = &pipeline->partitions[i];
		bool		any = partition->now.max_event_time != DT_NOBEGIN;
		TimestampTz own = any ? own_watermark(partition, pipeline->topic->watermark_delay) : DT_NOBEGIN;

		if (is_idle(pipeline, partition))
			greatest_idle = Max(greatest_idle, own);
		else if (!any)
			return before;
		else
			least = Min(least, own);
	}
	if (least == DT_NOEND)
		least = greatest_idle;
	return Max(least, before);
}

TimestampTz
event_time_watermark(const Pipeline *pipeline)
{
	if (pipeline->topic->event_time == 0)
		return pipeline->row->watermark;
	if (pipeline->closing)
		return DT_NOEND;
	return source_watermark(pipeline, event_time_is_idle);
}

/* ---- asking the broker ---- */

static bool
seems_idle_now(const Pipeline *pipeline, const Partition *partition)
{
	return seems_idle(pipeline, partition, clock_now());
}

/* Whether the watermark would move if what seems idle is. */
static bool
silence_matters(const Pipeline *pipeline)
{
	return source_watermark(pipeline, seems_idle_now) > source_watermark(pipeline, event_time_is_idle);
}

/* Takes note of which silent partitions the broker says are at their end. */
static void
confirm(Pipeline *pipeline, const KafkaRange *ranges, int n, TimestampTz asked_at)
{
	for (int i = 0; i < n; i++)
	{
		Partition  *partition = pipeline_partition(pipeline, ranges[i].partition);

		if (partition != NULL && seems_idle_now(pipeline, partition) &&
			ranges[i].high <= partition->committed.next_offset)
			partition->confirmed_at = asked_at;
	}
}

void
event_time_look(Pipeline *pipeline)
{
	TimestampTz now = GetCurrentTimestamp();
	MemoryContext before;
	KafkaRange *ranges;
	int			n;
	int			pause;

	if (!has_idleness(pipeline) || pipeline->batch->nrecords > 0 ||
		(now < pipeline->idle_look_at && !pipeline->nested))
		return;
	progress_begin(pipeline);
	if (!silence_matters(pipeline))
		return;
	before = MemoryContextSwitchTo(pipeline->attempt_context);
	ranges = lookout_ask(pipeline, &n);
	MemoryContextSwitchTo(before);
	if (ranges != NULL)
	{
		confirm(pipeline, ranges, n, now);
		pause = silence_matters(pipeline) ? ASK_AGAIN_MS : 0;
		pfree(ranges);
	}
	else
		pause = NO_ANSWER_MS;
	pipeline->idle_look_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pause);
}

long
event_time_due_ms(const Pipeline *pipeline)
{
	int64		least = PG_INT64_MAX;
	TimestampTz clock = clock_now();

	if (!has_idleness(pipeline))
		return LONG_MAX;
	for (int i = 0; i < pipeline->npartitions; i++)
	{
		int64		left = pipeline->partitions[i].committed.active_at + pipeline->topic->idle_timeout - clock;

		if (left > 0)
			least = Min(least, left);
	}
	if (silence_matters(pipeline))
		least = Min(least, Max(pipeline->idle_look_at - GetCurrentTimestamp(), 0));
	return least == PG_INT64_MAX ? LONG_MAX : least / 1000 + 1;
}
