/*
 * decode.c
 *		Records of a chunk to rows, or to dead letters.
 *
 * For each record, in order: is it new (offset >= next expected), is it known to
 * be bad, can it be read (by all views, or else by which: row_of_view.c), does the filter want it, what is it in the target's
 * columns.  Each record is counted exactly once in its partition's books; those
 * that become rows are counted as applied when they are stored.
 *
 * Runs as the pipeline's owner.  Refusals are values; when a user's function
 * throws, attempt.record says at which record.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "format/refusal.h"
#include "ingest/pipeline.h"

/* With on_error stop, a record that cannot be taken ends the attempt. */
void
chunk_stop_on_error(Pipeline *pipeline, const KafkaRecord *record, const Refusal *why)
{
	if (pipeline->topic->on_error != ON_ERROR_STOP)
		return;
	pipeline->attempt.record = record - pipeline->batch->records;
	ereport(ERROR,
			(errcode(why->sqlstate),
			 errmsg_internal("%s", why->message),
			 why->detail != NULL ? errdetail_internal("%s", why->detail) : 0));
}

/* Sets a record aside, as the topic's on_error says; its dead letter is written at the end of the chunk. */
void
chunk_refuse(Pipeline *pipeline, const KafkaRecord *record, const Refusal *why, int attempts)
{
	DeadRecord *dead;

	chunk_stop_on_error(pipeline, record, why);
	dead = &pipeline->chunk.dead[pipeline->chunk.ndead++];
	dead->record = record;
	dead->why = *why;
	dead->attempts = attempts;
	dead->view = NULL;
	pipeline_partition(pipeline, record->partition)->now.dead++;
}

/* What an earlier attempt learnt about the record (for one view, or as a whole), NULL when nothing. */
const KnownBad *
known_bad(const Pipeline *pipeline, const KafkaRecord *record, const PipelineView *view)
{
	ListCell   *lc;

	foreach(lc, pipeline->known_bad)
	{
		const KnownBad *bad = lfirst(lc);

		if (bad->partition == record->partition && bad->offset == record->offset && bad->view == view)
			return bad;
	}
	return NULL;
}

/* Counts the record in; false when it was delivered before. */
static bool
count_in(Pipeline *pipeline, const KafkaRecord *record)
{
	Partition  *partition = pipeline_partition(pipeline, record->partition);

	if (partition == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("record of partition %d was not asked for", record->partition)));
	partition->now.consumed++;
	if (record->offset < partition->now.next_offset)
	{
		partition->now.redelivered++;
		return false;
	}
	partition->now.next_offset = record->offset + 1;
	partition->records++;
	return true;
}

/* The event time of a topic's row on the scale of timestamptz; DT_NOBEGIN for none. */
static TimestampTz
event_time_of(const Topic *topic, const Datum *values, const bool *isnull)
{
	int			i = topic->event_time - 1;

	if (i < 0 || isnull[i])
		return DT_NOBEGIN;
	if (TupleDescAttr(topic->desc, i)->atttypid == DATEOID)
		return DatumGetTimestamp(DirectFunctionCall1(date_timestamp, values[i]));
	return DatumGetTimestampTz(values[i]);
}

/* A refusal of the topic's on_future; false when the row may stay. */
static bool
refuse_future(const Pipeline *pipeline, const KafkaRecord *record, TimestampTz event_time, Refusal *why)
{
	const Topic *topic = pipeline->topic;

	if (topic->on_future == ON_FUTURE_KEEP || !event_time_is_future(pipeline, record, event_time))
		return false;
	(void) refuse_with_detail(why, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
							  NameStr(TupleDescAttr(topic->desc, topic->event_time - 1)->attname),
							  "event time is too far in the future",
							  psprintf("It is %s; option max_future of the topic allows " INT64_FORMAT " seconds ahead.",
									   timestamptz_to_str(event_time), topic->max_future / USECS_PER_SEC));
	why->stage = "check";
	return true;
}

/* The same for a row of the topic that is read again, to fill a view. */
bool
refuse_future_row(const Pipeline *pipeline, const KafkaRecord *record,
				  const Datum *values, const bool *isnull, Refusal *why)
{
	return refuse_future(pipeline, record, event_time_of(pipeline->topic, values, isnull), why);
}

/*
 * Decodes the record for everybody who reads it; *why is set when it is a row of
 * nobody.  What threw at an earlier attempt is not tried again, but may still be a row
 * of some view.
 */
static bool
decode_columns(Pipeline *pipeline, const KafkaRecord *record, int row,
			   Datum *values, bool *isnull, Refusal *why, int *attempts)
{
	const KnownBad *bad = pipeline->known_bad != NIL ? known_bad(pipeline, record, NULL) : NULL;

	pipeline->attempt.stage = STAGE_DECODE;
	if (bad != NULL)
	{
		*why = bad->why;
		*attempts = bad->attempts;
		if (strcmp(why->stage, "decode") != 0)
			return false;
	}
	else if (decoder_decode(pipeline->decoder, record, values, isnull, why))
		return true;
	return views_read_apart(pipeline) && decode_for_views(pipeline, record, row);
}

/* Decodes one new record into row `row` of the chunk; false when it gives none. */
static bool
decode_record(Pipeline *pipeline, const KafkaRecord *record, int row)
{
	Chunk	   *chunk = &pipeline->chunk;
	TupleTableSlot *source = pipeline->map != NULL ? row_map_source(pipeline->map) : NULL;
	Datum	   *values = source != NULL ? source->tts_values : row_values(chunk->rows, row);
	bool	   *isnull = source != NULL ? source->tts_isnull : row_isnull(chunk->rows, row);
	Refusal		why = {0};
	int			attempts = 1;

	if (!decode_columns(pipeline, record, row, values, isnull, &why, &attempts))
	{
		chunk_refuse(pipeline, record, &why, attempts);
		return false;
	}
	chunk->event_time[row] = event_time_of(pipeline->topic, values, isnull);
	if (refuse_future(pipeline, record, chunk->event_time[row], &why))
	{
		forget_views_of_record(pipeline, record, row);
		chunk_refuse(pipeline, record, &why, 1);
		return false;
	}
	if (source == NULL)
		return true;

	pipeline->attempt.stage = STAGE_CHECK;
	if (!row_map_wanted(pipeline->map))
	{
		pipeline_partition(pipeline, record->partition)->now.filtered++;
		event_time_saw(pipeline, record, chunk->event_time[row]);
		return false;
	}
	pipeline->attempt.stage = STAGE_STORE;
	row_map_apply(pipeline->map, row_values(chunk->rows, row), row_isnull(chunk->rows, row));
	return true;
}

void
decode_chunk(Pipeline *pipeline)
{
	Chunk	   *chunk = &pipeline->chunk;
	RowBatch   *rows = chunk->rows;
	MemoryContext before;

	row_batch_reset(rows);
	rows_of_views_reset(pipeline);
	chunk->ndead = 0;
	before = MemoryContextSwitchTo(rows->context);
	for (int i = chunk->first; i < chunk->first + chunk->count; i++)
	{
		const KafkaRecord *record = &pipeline->batch->records[i];

		pipeline->attempt.record = i;
		if (!count_in(pipeline, record))
			continue;
		if (decode_record(pipeline, record, rows->nrows))
			rows->records[rows->nrows++] = record;
	}
	pipeline->attempt.record = -1;
	pipeline->attempt.stage = STAGE_NONE;
	MemoryContextSwitchTo(before);
}
