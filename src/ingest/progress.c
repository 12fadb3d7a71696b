/*
 * progress.c
 *		Offsets, books and the watermark of an attempt, and how they are written.
 *
 * Per partition:  committed --progress_begin--> now --records, ends--> written
 * in the epoch's transaction --commit--> committed.  An abort needs nothing: the
 * next attempt begins from `committed` again.
 *
 * The watermark after the attempt (event_time.c) is decided once, with the epoch's
 * rows written, and stored and committed with them.
 */
#include "postgres.h"

#include "utils/timestamp.h"

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

/* The chunk's rows count as applied, and their event times as seen. */
void
progress_stored(Pipeline *pipeline)
{
	Chunk	   *chunk = &pipeline->chunk;

	for (int i = 0; i < chunk->rows->nrows; i++)
	{
		const KafkaRecord *record = chunk->rows->records[i];

		pipeline_partition(pipeline, record->partition)->now.applied++;
		event_time_saw(pipeline, record, chunk->event_time[i]);
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

/*
 * An epoch that only moves the watermark is in the log, too: as partitions that were
 * left out because they are idle, without records; all of them when the input is over.
 */
static void
log_idle(const Pipeline *pipeline)
{
	const PipelineRow *row = pipeline->row;

	for (int i = 0; i < pipeline->npartitions; i++)
	{
		const PositionRow *now = &pipeline->partitions[i].now;

		if (pipeline->closing || event_time_is_idle(pipeline, &pipeline->partitions[i]))
			epoch_insert(row->id, row->epoch + 1, row->watermark, now->partition,
						 now->next_offset, now->next_offset, 0);
	}
}

/* Positions, books, epoch rows and the watermark of this attempt. */
void
progress_write(Pipeline *pipeline)
{
	PipelineRow *row = pipeline->row;
	TimestampTz now = GetCurrentTimestamp();
	int64		records = 0;
	bool		moved = false;

	pipeline->attempt.watermark = event_time_watermark(pipeline);
	for (int i = 0; i < pipeline->npartitions; i++)
	{
		Partition  *partition = &pipeline->partitions[i];

		if (partition->now.consumed == partition->committed.consumed &&
			partition->now.next_offset == partition->committed.next_offset)
			continue;
		moved = true;
		if (partition->records > 0)
			partition->now.active_at = pipeline->attempt.clock;
		note_end(pipeline, partition);
		position_advance(row->id, &partition->now, partition->committed.next_offset);
		epoch_insert(row->id, row->epoch + 1, row->watermark, partition->now.partition,
					 partition->committed.next_offset, partition->now.next_offset, partition->records);
		records += partition->records;
		for (int v = 0; v < pipeline->nviews; v++)
			if (pipeline->views[v].live != NULL && pipeline->views[v].now != NULL)
				write_view_position(pipeline, &pipeline->views[v], i);
	}
	if (!moved && pipeline->attempt.watermark > row->watermark)
		log_idle(pipeline);
	if (pipeline->committed_at != 0 && now > pipeline->committed_at)
	{
		double		rate = records * (double) USECS_PER_SEC / (now - pipeline->committed_at);
		double		weight = Min(1.0, (now - pipeline->committed_at) / (5.0 * USECS_PER_SEC));

		pipeline->rows_per_second += weight * (rate - pipeline->rows_per_second);
	}
	pipeline_end_epoch(row->id, row->epoch + 1, pipeline->attempt.watermark, pipeline->rows_per_second);
}

/* The transaction has committed: what was tentative is so. */
void
progress_committed(Pipeline *pipeline)
{
	pipeline->row->watermark = pipeline->attempt.watermark;
	pipeline->row->epoch++;
	pipeline->committed_at = GetCurrentTimestamp();
	for (int i = 0; i < pipeline->npartitions; i++)
	{
		Partition  *partition = &pipeline->partitions[i];

		if (partition->records > 0)
			partition->confirmed_at = 0;
		pipeline->taken += partition->now.consumed - partition->committed.consumed;
		partition->committed = partition->now;
		partition->at_end = partition->at_end_now;
		for (int v = 0; v < pipeline->nviews; v++)
			if (pipeline->views[v].live != NULL && pipeline->views[v].now != NULL)
				pipeline->views[v].committed[i] = pipeline->views[v].now[i];
	}
}
