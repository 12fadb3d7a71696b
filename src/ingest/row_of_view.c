/*
 * row_of_view.c
 *		Records that are rows for some views of a topic and not for others.
 *
 * A record is a row of a view over the topic when the columns decode that this view
 * reads, the topic's event time and its constraints' columns, and the constraints
 * hold.  Which columns other views read is nothing to it: views come and go, and a
 * batch answer, which reads the topic for one view, must find the same rows.
 *
 * One decoder serves all views, and what it can decode is a row of each.  What it
 * cannot is decoded here once more for every view alone:
 *
 *		a row of no view		one dead letter, of the pipeline
 *		a row of some views		goes on, marked as none of the others'; a dead letter of each of those
 *
 * When an input function throws, attempt.decoding tells for which view, and the next
 * attempt knows that pair of record and view.
 *
 * Memory: the decoders live as long as the pipeline, marks and dead letters as the chunk.
 */
#include "postgres.h"

#include "compat.h"
#include "ingest/pipeline.h"

/* What the view's definition reads of a record, and nobody else's. */
Decoder *
view_decoder(Pipeline *pipeline, PipelineView *view)
{
	const Topic *topic = pipeline->topic;
	Bitmapset  *needed;
	MemoryContext before;

	if (view->decoder != NULL)
		return view->decoder;
	before = MemoryContextSwitchTo(pipeline->context);
	needed = bms_add_members(decoder_required(topic), view->spec->source_columns);
	if (topic->event_time != 0)
		needed = bms_add_member(needed, topic->event_time);
	view->decoder = decoder_create(topic, needed);
	MemoryContextSwitchTo(before);
	return view->decoder;
}

bool
view_decode(Pipeline *pipeline, PipelineView *view, const KafkaRecord *record,
			Datum *values, bool *isnull, Refusal *why)
{
	const KnownBad *bad = known_bad(pipeline, record, view);
	bool		decoded;

	if (bad != NULL)
	{
		*why = bad->why;
		return false;
	}
	pipeline->attempt.stage = STAGE_DECODE;
	pipeline->attempt.decoding = view;
	decoded = decoder_decode(view_decoder(pipeline, view), record, values, isnull, why);
	pipeline->attempt.decoding = NULL;
	return decoded;
}

/* The row is none of the view's. */
static void
mark_not_a_row(Pipeline *pipeline, PipelineView *view, int row)
{
	if (view->not_rows == NULL)
		view->not_rows = MemoryContextAllocZero(pipeline->context, CHUNK_ROWS * sizeof(bool));
	view->not_rows[row] = true;
	view->has_not_rows = true;
}

/* A dead letter of one view, to be written at the end of the chunk. */
static void
refuse_for_view(Pipeline *pipeline, PipelineView *view, const KafkaRecord *record, const Refusal *why)
{
	DeadRecord *dead = palloc0(sizeof(DeadRecord));

	chunk_stop_on_error(pipeline, record, why);
	dead->record = record;
	dead->why = *why;
	dead->attempts = 1;
	dead->view = view;
	pipeline->chunk.dead_for_views = lappend(pipeline->chunk.dead_for_views, dead);
}

/* Takes over what the view reads. */
static void
merge_columns(const Pipeline *pipeline, const Datum *from, const bool *from_isnull, Datum *values, bool *isnull)
{
	for (int i = 0; i < pipeline->topic->desc->natts; i++)
		if (!from_isnull[i])
		{
			values[i] = from[i];
			isnull[i] = false;
		}
}

bool
decode_for_views(Pipeline *pipeline, const KafkaRecord *record, int row)
{
	int			natts = pipeline->topic->desc->natts;
	Datum	   *values = row_values(pipeline->chunk.rows, row);
	bool	   *isnull = row_isnull(pipeline->chunk.rows, row);
	Datum	   *one = palloc(natts * sizeof(Datum));
	bool	   *one_isnull = palloc(natts * sizeof(bool));
	bool	   *decoded = palloc0(pipeline->nviews * sizeof(bool));
	Refusal    *why = palloc0(pipeline->nviews * sizeof(Refusal));
	int			nrows = 0;

	memset(isnull, true, natts * sizeof(bool));
	for (int i = 0; i < pipeline->nviews; i++)
		if (pipeline->views[i].live != NULL &&
			(decoded[i] = view_decode(pipeline, &pipeline->views[i], record, one, one_isnull, &why[i])))
		{
			merge_columns(pipeline, one, one_isnull, values, isnull);
			nrows++;
		}
	for (int i = 0; i < pipeline->nviews && nrows > 0; i++)
		if (pipeline->views[i].live != NULL && !decoded[i])
		{
			mark_not_a_row(pipeline, &pipeline->views[i], row);
			refuse_for_view(pipeline, &pipeline->views[i], record, &why[i]);
		}
	return nrows > 0;
}

void
forget_views_of_record(Pipeline *pipeline, const KafkaRecord *record, int row)
{
	Chunk	   *chunk = &pipeline->chunk;

	while (chunk->dead_for_views != NIL && ((DeadRecord *) llast(chunk->dead_for_views))->record == record)
		chunk->dead_for_views = list_delete_last(chunk->dead_for_views);
	for (int i = 0; i < pipeline->nviews; i++)
		if (pipeline->views[i].has_not_rows)
			pipeline->views[i].not_rows[row] = false;
}

/* A new chunk: every row is everybody's. */
void
rows_of_views_reset(Pipeline *pipeline)
{
	pipeline->chunk.dead_for_views = NIL;
	for (int i = 0; i < pipeline->nviews; i++)
	{
		if (pipeline->views[i].has_not_rows)
			memset(pipeline->views[i].not_rows, 0, CHUNK_ROWS * sizeof(bool));
		pipeline->views[i].has_not_rows = false;
	}
}

bool
views_read_apart(const Pipeline *pipeline)
{
	int			n = 0;

	for (int i = 0; i < pipeline->nviews; i++)
		n += pipeline->views[i].live != NULL;
	return !pipeline_stores(pipeline) && n > 1;
}
