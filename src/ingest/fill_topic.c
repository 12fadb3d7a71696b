/*
 * fill_topic.c
 *		Records from before a view over the topic was made.
 *
 * A consumer of its own reads [fill_next, fill_upto) of each partition; what was
 * polled before an epoch is folded in it, counted in the view's books, and released
 * when it commits.  One view is filled at a time.  A record is a row by what this view
 * reads; when it is none it becomes a dead letter, unless it was one already.  What
 * on_future set aside stays so for every view of the pipeline; of other records it is
 * decided by the clock as it is now.
 */
#include "postgres.h"

#include "compat.h"
#include "ingest/pipeline.h"

#define OLD_RECORDS		50000	/* held at most */

/* Whether all of the view's old records are folded. */
static bool
is_filled(const Pipeline *pipeline, const PositionRow *books)
{
	for (int i = 0; i < pipeline->npartitions; i++)
		if (books[i].fill_next < books[i].fill_upto)
			return false;
	return true;
}

/* A consumer at the view's fill positions. */
static void
open_reader(Pipeline *pipeline, PipelineView *view)
{
	MemoryContext before = MemoryContextSwitchTo(pipeline->context);
	const Topic *topic = pipeline->topic;
	KafkaPosition *positions = palloc(sizeof(KafkaPosition) * Max(pipeline->npartitions, 1));
	int			n = 0;

	for (int i = 0; i < pipeline->npartitions; i++)
		if (view->committed[i].fill_next < view->committed[i].fill_upto)
			positions[n++] = (KafkaPosition)
	{
		view->committed[i].partition, view->committed[i].fill_next
	};
	if (pipeline->old_batch == NULL)
		pipeline->old_batch = batch_create(CHUNK_ROWS);
	pipeline->old_consumer = consumer_open_aligned(topic->name, topic->options, topic->noptions, n);
	consumer_assign(pipeline->old_consumer, positions, n);
	pipeline->old_reader = view;
	pfree(positions);
	MemoryContextSwitchTo(before);
}

/* Done with one view: the next gets a consumer of its own. */
static void
close_reader(Pipeline *pipeline)
{
	batch_release(pipeline->old_batch, pipeline->old_batch->nrecords);
	consumer_close(pipeline->old_consumer);
	pipeline->old_consumer = NULL;
	pipeline->old_reader = NULL;
	if (pipeline->old_future != NULL)
	{
		pfree(pipeline->old_future->positions);
		pfree(pipeline->old_future);
	}
	pipeline->old_future = NULL;
}

/* What on_future has set aside of the view's old records: asked once, as none is added to those. */
static void
load_future(Pipeline *pipeline, const PipelineView *view)
{
	MemoryContext before = MemoryContextSwitchTo(pipeline->context);

	if (pipeline->old_future == NULL)
	{
		PositionSet set = dead_letters_of_future(pipeline->row->id, view->row->id);

		pipeline->old_future = palloc(sizeof(PositionSet));
		*pipeline->old_future = set;
	}
	MemoryContextSwitchTo(before);
}

/*
 * Retention may have passed the pipeline's first offsets long ago.  The batch answer
 * reads what the log still has, and so does the filling.
 */
static void
skip_removed(Pipeline *pipeline, PipelineView *view)
{
	int			n = 0;
	KafkaRange *ranges = lookout_ask(pipeline, &n);

	for (int i = 0; ranges != NULL && i < n; i++)
		for (int k = 0; k < pipeline->npartitions; k++)
		{
			PositionRow *books = &view->committed[k];

			if (books->partition == ranges[i].partition && books->fill_next < ranges[i].low)
				books->fill_next = Min(ranges[i].low, books->fill_upto);
		}
	close_reader(pipeline);
}

/* Takes what has come, without waiting; true when an epoch should fold it. */
bool
fill_poll_topic(Pipeline *pipeline, PipelineView *view)
{
	KafkaBatch *batch;

	if (pipeline->old_reader != NULL && (pipeline->old_reader->live == NULL || !pipeline->old_reader->filling))
		close_reader(pipeline);
	if (is_filled(pipeline, view->committed))
		return true;
	if (pipeline->old_reader != NULL && pipeline->old_reader != view)
		return false;
	if (pipeline->old_reader == NULL)
		open_reader(pipeline, view);
	batch = pipeline->old_batch;
	while (batch->nrecords < OLD_RECORDS &&
		   consumer_poll(pipeline->old_consumer, batch, CHUNK_ROWS) > 0)
		;
	if (batch->nrecords > 0 || batch->nends > 0)
		return true;
	if (consumer_fault(pipeline->old_consumer).kind == KAFKA_OFFSET_LOST)
		skip_removed(pipeline, view);
	return false;
}

/* The view's books of a partition, NULL when the pipeline has none of that number. */
static PositionRow *
books_of(Pipeline *pipeline, PipelineView *view, int32 number)
{
	Partition  *partition = pipeline_partition(pipeline, number);

	return partition == NULL ? NULL : &view->now[partition - pipeline->partitions];
}

/* Folds the rows gathered and enters what became of them. */
static void
fold_gathered(Pipeline *pipeline, PipelineView *view)
{
	RowBatch   *rows = pipeline->old_rows;
	FoldResult	result;

	if (rows->nrows == 0)
		return;
	fill_fold(pipeline, view, &result);
	for (int i = 0; i < rows->nrows; i++)
	{
		PositionRow *books = books_of(pipeline, view, rows->records[i]->partition);

		if (result.fate[i] == 'a')
			books->applied++;
		else
			books->filtered++;
	}
	row_batch_reset(rows);
}

/* It is not a row of the view: a dead letter, if not one of an earlier filling or of the whole pipeline. */
static void
set_aside(Pipeline *pipeline, PipelineView *view, const KafkaRecord *record, const Refusal *why)
{
	DeadLetterOf of = {pipeline->row->id, view->row->id, pipeline->row->name, pipeline->topic->name};

	if (pipeline->topic->on_error != ON_ERROR_SKIP && !dead_letter_exists(&of, record))
		dead_letter_insert(&of, record, why, 1);
}

/* Decodes one old record into the next row, or counts it as dead. */
static void
decode_record(Pipeline *pipeline, PipelineView *view, const KafkaRecord *record, PositionRow *books)
{
	RowBatch   *rows = pipeline->old_rows;
	Datum	   *values = row_values(rows, rows->nrows);
	bool	   *isnull = row_isnull(rows, rows->nrows);
	MemoryContext before = MemoryContextSwitchTo(rows->context);
	Refusal		why;

	pipeline->attempt.old_record = record;
	if (view_decode(pipeline, view, record, values, isnull, &why) &&
		!refuse_future_row(pipeline, record, values, isnull, &why))
		rows->records[rows->nrows++] = record;
	else
	{
		books->dead++;
		set_aside(pipeline, view, record, &why);
	}
	pipeline->attempt.old_record = NULL;
	pipeline->attempt.stage = STAGE_FOLD;
	MemoryContextSwitchTo(before);
}

/* One old record: a row, or dead, perhaps since long ago. */
static void
take_record(Pipeline *pipeline, PipelineView *view, const KafkaRecord *record, PositionRow *books)
{
	books->consumed++;
	if (position_set_has(pipeline->old_future, record->partition, record->offset))
		books->dead++;
	else
		decode_record(pipeline, view, record, books);
}

/* Ends reached tell that nothing more comes below the limit. */
static void
take_ends(Pipeline *pipeline, PipelineView *view)
{
	const KafkaBatch *batch = pipeline->old_batch;

	for (int i = 0; i < batch->nends; i++)
	{
		PositionRow *books = books_of(pipeline, view, batch->ends[i].partition);

		if (books != NULL && batch->ends[i].next_offset >= books->fill_upto)
			books->fill_next = books->fill_upto;
	}
}

/* Folds what was polled; the view's owner is current. */
void
fill_from_topic(Pipeline *pipeline, PipelineView *view)
{
	KafkaBatch *batch = pipeline->old_batch;

	if (pipeline->old_reader == view)
	{
		load_future(pipeline, view);
		row_batch_reset(pipeline->old_rows);
		for (int i = 0; i < batch->nrecords; i++)
		{
			const KafkaRecord *record = &batch->records[i];
			PositionRow *books = books_of(pipeline, view, record->partition);

			if (books == NULL || record->offset < books->fill_next)
				continue;
			if (record->offset < books->fill_upto)
				take_record(pipeline, view, record, books);
			books->fill_next = Min(record->offset + 1, books->fill_upto);
			if (pipeline->old_rows->nrows == pipeline->old_rows->capacity)
				fold_gathered(pipeline, view);
		}
		fold_gathered(pipeline, view);
		take_ends(pipeline, view);
		pipeline->old_taken = batch->nrecords;
	}
	for (int i = 0; i < pipeline->npartitions; i++)
		view_position_put(view->row->id, &view->now[i]);
	view->filled_now = is_filled(pipeline, view->now);
}
