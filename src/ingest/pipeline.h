/*
 * pipeline.h
 *		A loaded pipeline, as the files of src/ingest share it.
 *
 * Lifetimes: `context` lasts from load to close, `retry` from one commit to the
 * next (what failed attempts taught us), `attempt` for one attempt, and the rows'
 * own context for one chunk.
 */
#ifndef DELTAFLOW_INGEST_PIPELINE_H
#define DELTAFLOW_INGEST_PIPELINE_H

#include "catalog/catalog.h"
#include "fdw/topic.h"
#include "format/format.h"
#include "ingest/dead_rate.h"
#include "ingest/epoch.h"
#include "ingest/options.h"
#include "ingest/row_batch.h"
#include "ingest/row_map.h"
#include "ingest/target.h"
#include "kafka/consumer.h"
#include "maintain/live_view.h"
#include "view/options.h"
#include "worker/backoff.h"

#define CHUNK_ROWS		1000	/* records decoded, stored and folded at one go */
#define CHUNK_BYTES		(4 * 1024 * 1024)	/* payload at which a chunk ends earlier */

/* One partition: committed, and as the attempt has it. */
typedef struct Partition
{
	PositionRow committed;
	PositionRow now;
	int64		records;		/* new ones in this attempt */
	bool		at_end;			/* everything in the log was taken; committed knowledge */
	bool		at_end_now;
	TimestampTz confirmed_at;	/* when the broker last said that nothing follows, by the real clock; 0: never */
} Partition;

/* One view of the pipeline. */
typedef struct PipelineView
{
	ViewRow    *row;
	Oid			owner;
	ViewSpec   *spec;
	LiveView   *live;			/* NULL: paused or failed, takes no part */
	PositionRow *committed;		/* of a view over the topic: its books, in the partitions' order */
	PositionRow *now;
	int64		late;			/* in this attempt */
	ViewSettings settings;
	TimestampTz horizon;		/* in this attempt: as in ViewRow */
	bool		expiring;		/* more old windows wait to be removed */
	bool		filling;		/* rows from before it was made are still to be folded; fill.c */
	bool		filled_now;		/* this attempt folds the last of them */
	FillPoint	fill_committed;
	FillPoint	fill_now;
	Decoder    *decoder;		/* of the columns that it alone reads; NULL until needed */
	bool	   *not_rows;		/* of the chunk's rows, those that are none of this view's; row_of_view.c */
	bool		has_not_rows;	/* any of them true */
	char	   *error;			/* it failed: the next attempt records that, without it */
	char	   *hint;
} PipelineView;

/* A record set aside, with the reason. */
typedef struct DeadRecord
{
	const KafkaRecord *record;
	Refusal		why;
	int			attempts;
	PipelineView *view;			/* a row of others; NULL: a row of nobody */
} DeadRecord;

/* A record that made an attempt fail: the next one sets it aside at once. */
typedef struct KnownBad
{
	int32		partition;
	int64		offset;
	PipelineView *view;			/* bad for this one; NULL: as a whole */
	Refusal		why;
	int			attempts;
} KnownBad;

/* The records at hand, between decode and fold. */
typedef struct Chunk
{
	int			first;			/* in the batch of records */
	int			count;
	RowBatch   *rows;			/* as the views read them: the target's columns, or the topic's */
	TimestampTz event_time[CHUNK_ROWS]; /* of each row; DT_NOBEGIN for none */
	int			ndead;
	DeadRecord	dead[CHUNK_ROWS];
	List	   *dead_for_views; /* of DeadRecord *: rows all the same, of other views */
} Chunk;

typedef enum Stage
{
	STAGE_NONE,
	STAGE_DECODE,
	STAGE_CHECK,
	STAGE_STORE,
	STAGE_FOLD
} Stage;

/* One attempt to do the next epoch. */
typedef struct Attempt
{
	Stage		stage;			/* where it is, for whoever catches an error */
	int			record;			/* in the batch of records; -1: no particular one */
	int			row;			/* in the chunk's rows, while storing; -1: no particular one */
	PipelineView *view;			/* in STAGE_FOLD */
	PipelineView *decoding;		/* in STAGE_DECODE: for this one alone; NULL: for all */
	const KafkaRecord *old_record;	/* being filled in, not of the batch; NULL: none */
	int			taken;			/* records of the batch begun with */
	bool		full;			/* it stopped at a limit: more is waiting */
	DeadRate	dead_rate;
	bool		too_many_dead;	/* nothing more is taken: once this is committed the pipeline pauses */
	bool		reload;			/* the catalog has moved on: nothing was done */
	TimestampTz began;
	long		work_ms;		/* after which it takes no more */
	TimestampTz clock;			/* the injectable clock at its beginning: all rows are judged by one time */
	TimestampTz watermark;		/* after it, once progress_write has decided */
} Attempt;

struct Pipeline
{
	/* identity; fixed from load to close */
	PipelineRow *row;
	Topic	   *topic;
	Oid			owner;			/* of the target, or of the topic's table when there is none */
	IngestOptions options;
	bool		nested;			/* in the transaction of a caller (run_once) */
	uint64		definitions;	/* stale.h: what else was loaded is as of this */

	/* working parts */
	KafkaConsumer *consumer;
	KafkaConsumer *lookout;		/* asks about ranges, so that the consumer need not */
	KafkaBatch *batch;
	Decoder    *decoder;
	RowMap	   *map;			/* NULL: views read the topic's rows */
	Target	   *target;			/* NULL likewise; open during an attempt */
	SlotPool   *slots;
	int			nviews;
	PipelineView *views;
	RowBatch   *old_rows;		/* of views being filled; NULL: none yet */
	KafkaConsumer *old_consumer;	/* reads old records for a view over the topic, NULL: none is being filled */
	KafkaBatch *old_batch;
	PipelineView *old_reader;	/* that view */
	int			old_taken;		/* of old_batch, in this attempt */
	PositionSet *old_future;	/* what on_future set aside of them before; NULL: not asked yet */

	/* progress */
	int			npartitions;
	Partition  *partitions;		/* by number */
	int			limit;			/* records an epoch may take; halved by failures of unknown cause */
	int			limit_once;		/* for the next attempt only, 0: none */
	bool		drained;		/* the last poll found less than it asked for */
	List	   *known_bad;		/* of KnownBad *, in retry */
	Backoff		backoff;
	DeadRate	dead_rate;		/* as of the last commit */
	long		delay_ms;		/* what pipeline_backoff() says */
	TimestampTz lookout_at;		/* when to ask the broker for ranges again */
	TimestampTz idle_look_at;	/* not to ask before whether silent partitions are at their end */
	bool		closing;		/* the input is over: the watermark moves to infinity */
	int			suspicion;		/* looks in a row that found the log shorter than what was read */
	bool		troubled;		/* pipeline.last_error is set though it runs */
	TimestampTz committed_at;
	double		rows_per_second;
	int64		taken;			/* records committed since load */

	Attempt		attempt;
	Chunk		chunk;

	MemoryContext context;
	MemoryContext retry;
	MemoryContext attempt_context;
};

/* The partition of that number, NULL when it is not (yet) one of the pipeline's. */
static inline Partition *
pipeline_partition(Pipeline *pipeline, int32 number)
{
	if (number < pipeline->npartitions && pipeline->partitions[number].committed.partition == number)
		return &pipeline->partitions[number];
	for (int i = 0; i < pipeline->npartitions; i++)
		if (pipeline->partitions[i].committed.partition == number)
			return &pipeline->partitions[i];
	return NULL;
}

/* Whether views read the target's stored rows; else they read the topic itself. */
static inline bool
pipeline_stores(const Pipeline *pipeline)
{
	return OidIsValid(pipeline->row->target);
}

/* unit.c: one transaction, or one subtransaction of run_once */
typedef void (*UnitOfWork) (Pipeline *pipeline, void *argument);

/* Runs work and commits; or rolls back and returns the error, copied to context. */
extern ErrorData *pipeline_unit(Pipeline *pipeline, UnitOfWork work, void *argument, MemoryContext context);
extern void pipeline_pause(Pipeline *pipeline, RunState state, const char *error, const char *hint);
extern void pipeline_trouble(Pipeline *pipeline, const char *error, const char *hint);

/* load.c */
extern Pipeline *pipeline_open(int64 id, bool nested);

/* decode.c: records to rows */
extern void decode_chunk(Pipeline *pipeline);
extern void chunk_refuse(Pipeline *pipeline, const KafkaRecord *record, const Refusal *why, int attempts);
extern void chunk_stop_on_error(Pipeline *pipeline, const KafkaRecord *record, const Refusal *why);
extern bool refuse_future_row(const Pipeline *pipeline, const KafkaRecord *record,
							  const Datum *values, const bool *isnull, Refusal *why);
extern const KnownBad *known_bad(const Pipeline *pipeline, const KafkaRecord *record, const PipelineView *view);

/* row_of_view.c: records that are rows for some views over a topic and not for others */
extern bool views_read_apart(const Pipeline *pipeline); /* more than one view reads the topic */
extern void rows_of_views_reset(Pipeline *pipeline);
extern bool decode_for_views(Pipeline *pipeline, const KafkaRecord *record, int row);	/* false: a row of none */
extern void forget_views_of_record(Pipeline *pipeline, const KafkaRecord *record, int row); /* a row of none after all */
extern bool view_decode(Pipeline *pipeline, PipelineView *view, const KafkaRecord *record,
						Datum *values, bool *isnull, Refusal *why);
extern Decoder *view_decoder(Pipeline *pipeline, PipelineView *view);

/* event_time.c: the watermark, who holds it, and the future guard */
extern bool event_time_is_future(const Pipeline *pipeline, const KafkaRecord *record, TimestampTz event_time);
extern void event_time_saw(Pipeline *pipeline, const KafkaRecord *record, TimestampTz event_time);
extern bool event_time_is_idle(const Pipeline *pipeline, const Partition *partition);
extern TimestampTz event_time_watermark(const Pipeline *pipeline);	/* as of the end of the attempt */
extern void event_time_look(Pipeline *pipeline);	/* asks the broker about silent partitions when that matters */
extern long event_time_due_ms(const Pipeline *pipeline);	/* until a partition may be idle; LONG_MAX: none */

/* Takes what the client has at hand into the batch, before the epoch that works on it; false: an epoch takes no more. */
extern bool pipeline_take_ahead(Pipeline *pipeline);

extern void keep_dead_letter(Pipeline *pipeline, const DeadRecord *dead);

/* progress.c: offsets, books, watermark */
extern void progress_begin(Pipeline *pipeline);
extern void progress_stored(Pipeline *pipeline);	/* the chunk's rows count as applied */
extern void progress_ends(Pipeline *pipeline);
extern void progress_write(Pipeline *pipeline);
extern void progress_committed(Pipeline *pipeline);

/* views.c */
extern void views_open(Pipeline *pipeline);
extern void views_begin(Pipeline *pipeline);
extern void views_fold(Pipeline *pipeline);
extern void views_write(Pipeline *pipeline);
extern void views_discard(Pipeline *pipeline);
extern Bitmapset *views_columns(const Pipeline *pipeline);

extern void views_committed(Pipeline *pipeline);
extern void pipeline_view_failed(Pipeline *pipeline, PipelineView *view, ErrorData *error);

/* fill.c, fill_topic.c: views made while the pipeline runs */
extern void fill_begin(Pipeline *pipeline, PipelineView *view);	/* in the first attempt */
extern bool fill_has_work(Pipeline *pipeline);
extern bool fill_is_pending(const Pipeline *pipeline);
extern void fill_slice(Pipeline *pipeline, PipelineView *view);
extern void fill_committed(Pipeline *pipeline);
extern void fill_fold(Pipeline *pipeline, PipelineView *view, FoldResult *result);
extern void fill_from_topic(Pipeline *pipeline, PipelineView *view);
extern bool fill_poll_topic(Pipeline *pipeline, PipelineView *view);

/* failure.c */
extern bool failure_is_infrastructure(int sqlstate, Stage stage);
extern EpochOutcome pipeline_failed(Pipeline *pipeline, ErrorData *error);

/* lookout.c: what the broker says about ranges, and faults of the consumer */
extern EpochOutcome lookout_look(Pipeline *pipeline, KafkaRange **ranges, int *nranges);
extern KafkaRange *lookout_ask(Pipeline *pipeline, int *n);	/* NULL: no answer */
extern EpochOutcome lookout_fault(Pipeline *pipeline, const KafkaFault *fault);

#endif							/* DELTAFLOW_INGEST_PIPELINE_H */
