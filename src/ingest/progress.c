/*
 * progress.c
 *		Offsets, books and the watermark of an attempt, and how they are written.
 *
 * Per partition:  committed --progress_begin--> now --records, ends--> written
 * in the epoch's transaction --commit--> committed.  An abort needs nothing: the
 * next attempt begins from `committed` again.
 *
 * The watermark (DESIGN 11): the least of max(event time) - delay over partitions
 * that are not idle, never falling, advanced here and nowhere else.  A partition is
 * idle when all of its log is taken and nothing came for idle_timeout; being slow
 * is not being idle.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "clock.h"
#include "compat.h"
#include "ingest/pipeline.h"

void
progress_begin(Pipeline *pipeline)
{
	for (int i = 0; i < pipeline->npartitions; i++)
	{
		Partition  *partition = &pipeline->partitions[i];

		partition->now = partition->committed;
		partition->records = 0;
		partition->at_end_now = partition->at_end;
	}
}

/* An event time is believed up to max_future ahead of the record's own time or the clock. */
static bool
is_believable(const Topic *topic, const KafkaRecord *record, TimestampTz event_time)
{
	TimestampTz limit = clock_now();
	TimestampTz written;

	if (event_time <= limit)
		return true;
	if (record_time(record, &written) && written > limit)
		limit = written;
	return event_time - limit <= topic->max_future;
}

/* Notes the event time of a record that counts. */
void
progress_saw(Pipeline *pipeline, const KafkaRecord *record, TimestampTz event_time)
{
	Partition  *partition = pipeline_partition(pipeline, record->partition);

	if (event_time > partition->now.max_event_time && !TIMESTAMP_IS_NOEND(event_time) &&
		is_believable(pipeline->topic, record, event_time))
		partition->now.max_event_time = event_time;
}

/* The chunk's rows count as applied, and their event times as seen. */
void
progress_stored(Pipeline *pipeline)
{
	Chunk	   *chunk = &pipeline->chunk;

	for (int i = 0; i < chunk->rows->nrows; i++)
	{
		const KafkaRecord *record = chunk->rows->records[i];

		pipeline_partition(pipeline, record->partition)->now.applied++;
		progress_saw(pipeline, record, chunk->event_time[i]);
	}
}

/* Ends of partitions count once every record before them is taken. */
void
progress_ends(Pipeline *pipeline)
{
	const KafkaBatch *batch = pipeline->batch;

	for (int i = 0; i < pipeline->npartitions; i++)
		if (pipeline->partitions[i].records > 0)
			pipeline->partitions[i].at_end_now = false;
	for (int i = 0; i < batch->nends; i++)
	{
		Partition  *partition = pipeline_partition(pipeline, batch->ends[i].partition);

		if (batch->ends[i].after > pipeline->attempt.taken || partition == NULL ||
			batch->ends[i].next_offset < partition->now.next_offset)
			continue;
		partition->now.next_offset = batch->ends[i].next_offset;
		partition->at_end_now = true;
	}
}

/* Whether the partition takes no part in the watermark. */
static bool
is_idle(const Pipeline *pipeline, const Partition *partition)
{
	return partition->at_end_now && partition->records == 0 &&
		pipeline->topic->idle_timeout > 0 &&
		clock_now() - partition->active_at >= pipeline->topic->idle_timeout;
}

/* The watermark as of the end of this attempt; DT_NOBEGIN for none. */
static TimestampTz
next_watermark(const Pipeline *pipeline)
{
	TimestampTz least = DT_NOEND;

	if (pipeline->topic->event_time == 0)
		return DT_NOBEGIN;
	for (int i = 0; i < pipeline->npartitions; i++)
	{
		const Partition *partition = &pipeline->partitions[i];

		if (is_idle(pipeline, partition))
			continue;
		if (partition->now.max_event_time == DT_NOBEGIN)
			return pipeline->row->watermark;
		least = Min(least, partition->now.max_event_time - pipeline->topic->watermark_delay);
	}
	if (least == DT_NOEND)
		return pipeline->row->watermark;
	return Max(least, pipeline->row->watermark);
}

/* The partition's end as the broker last told it. */
static void
note_end(Pipeline *pipeline, Partition *partition)
{
	int64		low;
	int64		high;

	if (partition->at_end_now)
		partition->now.end_offset = partition->now.next_offset;
	else if (consumer_cached_range(pipeline->consumer, partition->now.partition, &low, &high) && high >= 0)
		partition->now.end_offset = Max(high, partition->now.next_offset);
}

/* The books of a view over the topic: what became of records before they were rows is the same for all. */
static void
write_view_position(Pipeline *pipeline, PipelineView *view, int i)
{
	const PositionRow *before = &pipeline->partitions[i].committed;
	const PositionRow *now = &pipeline->partitions[i].now;
	PositionRow *books = &view->now[i];

	books->next_offset = now->next_offset;
	books->consumed += now->consumed - before->consumed;
	books->dead += now->dead - before->dead;
	books->redelivered += now->redelivered - before->redelivered;
	view_position_put(view->row->id, books);
}

/* Positions, books, epoch rows and the watermark of this attempt. */
void
progress_write(Pipeline *pipeline)
{
	PipelineRow *row = pipeline->row;
	TimestampTz now = GetCurrentTimestamp();
	int64		records = 0;

	for (int i = 0; i < pipeline->npartitions; i++)
	{
		Partition  *partition = &pipeline->partitions[i];

		if (partition->now.consumed == partition->committed.consumed &&
			partition->now.next_offset == partition->committed.next_offset)
			continue;
		note_end(pipeline, partition);
		position_advance(row->id, &partition->now, partition->committed.next_offset);
		epoch_insert(row->id, row->epoch + 1, row->watermark, partition->now.partition,
					 partition->committed.next_offset, partition->now.next_offset, partition->records);
		records += partition->records;
		for (int v = 0; v < pipeline->nviews; v++)
			if (pipeline->views[v].live != NULL && pipeline->views[v].now != NULL)
				write_view_position(pipeline, &pipeline->views[v], i);
	}
	if (pipeline->committed_at != 0 && now > pipeline->committed_at)
	{
		double		rate = records * (double) USECS_PER_SEC / (now - pipeline->committed_at);
		double		weight = Min(1.0, (now - pipeline->committed_at) / (5.0 * USECS_PER_SEC));

		pipeline->rows_per_second += weight * (rate - pipeline->rows_per_second);
	}
	pipeline_end_epoch(row->id, row->epoch + 1, next_watermark(pipeline), pipeline->rows_per_second);
}

/* The transaction has committed: what was tentative is so. */
void
progress_committed(Pipeline *pipeline)
{
	TimestampTz now = clock_now();

	pipeline->row->watermark = next_watermark(pipeline);
	pipeline->row->epoch++;
	pipeline->committed_at = GetCurrentTimestamp();
	for (int i = 0; i < pipeline->npartitions; i++)
	{
		Partition  *partition = &pipeline->partitions[i];

		if (partition->records > 0)
			partition->active_at = now;
		pipeline->taken += partition->now.consumed - partition->committed.consumed;
		partition->committed = partition->now;
		partition->at_end = partition->at_end_now;
		for (int v = 0; v < pipeline->nviews; v++)
			if (pipeline->views[v].live != NULL && pipeline->views[v].now != NULL)
				pipeline->views[v].committed[i] = pipeline->views[v].now[i];
	}
}
