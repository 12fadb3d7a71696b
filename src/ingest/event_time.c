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
#include "window/watermark.h"

#define CONFIRMED_FOR_MS	5000	/* how long the broker's word counts */
#define ASK_AGAIN_MS		1000	/* when it said that more follows */
#define NO_ANSWER_MS		30000	/* when it did not answer */

/* What the topic's options say. */
static WatermarkRule
rule_of(const Pipeline *pipeline)
{
	return (WatermarkRule) {
		.delay = pipeline->topic->watermark_delay,
		.max_future = pipeline->topic->max_future,
		.idle_timeout = pipeline->topic->idle_timeout
	};
}

/* ---- the future guard ---- */

/* Whether the event time is further ahead than is believed. */
bool
event_time_is_future(const Pipeline *pipeline, const KafkaRecord *record, TimestampTz event_time)
{
	WatermarkRule rule = rule_of(pipeline);
	TimestampTz appended = DT_NOBEGIN;

	if (event_time <= pipeline->attempt.clock)
		return false;
	if (!record->broker_time || !record_time(record, &appended))
		appended = DT_NOBEGIN;
	return watermark_is_future(&rule, event_time, appended, pipeline->attempt.clock);
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
	WatermarkRule rule = rule_of(pipeline);

	return partition->records == 0 &&
		(partition->at_end_now || pipeline->nested) &&
		watermark_is_silent(&rule, partition->now.active_at, clock) &&
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

typedef bool (*IsIdle) (const Pipeline *pipeline, const Partition *partition);

/* The source's, by what counts as idle. */
static TimestampTz
source_watermark(const Pipeline *pipeline, IsIdle is_idle)
{
	WatermarkRule rule = rule_of(pipeline);
	Watermark	watermark;

	watermark_begin(&watermark);
	for (int i = 0; i < pipeline->npartitions; i++)
	{
		const Partition *partition = &pipeline->partitions[i];

		watermark_add(&watermark, &rule, partition->now.max_event_time, is_idle(pipeline, partition));
	}
	return watermark_next(&watermark, pipeline->row->watermark);
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
	{
		int64		left = pipeline->idle_look_at - GetCurrentTimestamp();

		least = Min(least, Max(left, 0));
	}
	return least == PG_INT64_MAX ? LONG_MAX : least / 1000 + 1;
}
