/*
 * failure.c
 *		What an error that ended an attempt means, and what comes next.
 *
 * Four answers (DESIGN 6, the ladder):
 *	 infrastructure		wait and do the same again; never a record's fault
 *	 a view's			that view fails, the others go on at once
 *	 a record's			the record is set aside by the next attempt
 *	 some record's		nobody knows which: halve the batch until it is alone
 *
 * Nothing here is in a transaction.  What is learnt lives in pipeline->retry until
 * an epoch commits; the records themselves are still held in the batch.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "ingest/pipeline.h"
#include "worker/settings.h"

#define INTERNAL_ERROR_ATTEMPTS	3

/* An error class, or with five characters one error, that no record can be blamed for. */
typedef struct NotTheRecord
{
	const char *sqlstate;
	bool		when_decoding;	/* also when thrown by an input function */
	const char *why;
} NotTheRecord;

static const NotTheRecord not_the_record[] = {
	{"08", true, "connection exception"},
	{"25", true, "transaction state, read-only transaction"},
	{"40", true, "serialization failure, deadlock"},
	{"53", true, "disk, memory, connections, configured limits"},
	{"55006", true, "object in use"},
	{"55P03", true, "lock not available"},
	{"57", true, "cancel, shutdown, crash recovery"},
	{"58", true, "operating system"},
	{"XX", true, "internal error, corruption"},	/* of a view it is the view's own in the end */
	{"F0", true, "configuration file"},
	{"0A", false, "a feature the target needs and the server lacks"},
	{"28", false, "authorization"},
	{"42", false, "a function, table or right that is missing: the definition, not the data"},
};

bool
failure_is_infrastructure(int sqlstate, Stage stage)
{
	const char *text = unpack_sql_state(sqlstate);

	for (int i = 0; i < lengthof(not_the_record); i++)
	{
		const NotTheRecord *rule = &not_the_record[i];

		if (strncmp(text, rule->sqlstate, strlen(rule->sqlstate)) == 0)
			return rule->when_decoding || (stage != STAGE_DECODE && stage != STAGE_FOLD);
	}
	return false;
}

/*
 * Whether an error in a view is that view's own although its code says that it is not
 * the record's.  Internal errors may come from a catalog that is just being changed, so
 * they get a few attempts; then nothing speaks for the next one.
 */
static bool
is_the_views_own(const Pipeline *pipeline, int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INTERNAL_ERROR &&
		(pipeline->nested || pipeline->backoff.failures >= INTERNAL_ERROR_ATTEMPTS - 1);
}

/* Remembers that a record is bad, as a whole or for one view, so that the next attempt sets it aside. */
static void
blame_record(Pipeline *pipeline, const KafkaRecord *record, PipelineView *view, Stage stage, const ErrorData *error)
{
	static const char *const stages[] = {
		[STAGE_NONE] = "store", [STAGE_DECODE] = "decode", [STAGE_CHECK] = "check",
		[STAGE_STORE] = "store", [STAGE_FOLD] = "store"
	};
	MemoryContext before = MemoryContextSwitchTo(pipeline->retry);
	KnownBad   *bad = palloc0(sizeof(KnownBad));

	bad->partition = record->partition;
	bad->offset = record->offset;
	bad->view = view;
	bad->attempts = pipeline->backoff.failures + 1;
	bad->why.sqlstate = error->sqlerrcode;
	bad->why.stage = stages[stage];
	bad->why.message = error->message;
	bad->why.detail = error->detail;
	bad->why.column = error->column_name;
	pipeline->known_bad = lappend(pipeline->known_bad, bad);
	MemoryContextSwitchTo(before);
}

/* on_error stop: what came before the record is committed first, then the pipeline pauses at it. */
static EpochOutcome
stop_at_record(Pipeline *pipeline, int index, const ErrorData *error)
{
	const KafkaRecord *record = &pipeline->batch->records[index];

	if (index > 0)
	{
		pipeline->limit_once = index;
		return EPOCH_AGAIN;
	}
	pipeline_pause(pipeline, STATE_PAUSED,
				   psprintf("record at partition %d, offset " INT64_FORMAT " cannot be stored: %s",
							record->partition, record->offset, error->message),
				   psprintf("Correct the table, or ALTER FOREIGN TABLE ... OPTIONS (SET on_error 'dead_letter'), "
							"then SELECT deltaflow.resume(%s).", quote_literal_cstr(pipeline->row->name)));
	return EPOCH_PAUSED;
}

/* One record is to blame: it is set aside, and what was good before it is committed with it. */
static EpochOutcome
record_failed(Pipeline *pipeline, int index, Stage stage, const ErrorData *error)
{
	if (pipeline->topic->on_error == ON_ERROR_STOP)
		return stop_at_record(pipeline, index, error);
	blame_record(pipeline, &pipeline->batch->records[index], pipeline->attempt.decoding, stage, error);
	pipeline->limit_once = index + 1;
	return EPOCH_AGAIN;
}

/* Nobody's fault that can be helped here: log, show, wait. */
static EpochOutcome
infrastructure_failed(Pipeline *pipeline, ErrorData *error)
{
	if (pipeline->nested)
		ReThrowError(error);
	pipeline->delay_ms = backoff_failed(&pipeline->backoff);
	if (error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
	{
		pipeline->delay_ms = backoff_for_lock(&pipeline->backoff);
		if (!backoff_lock_is_news(&pipeline->backoff))
			return EPOCH_AGAIN;
	}
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("epoch " INT64_FORMAT " of \"%s\" is tried again: %s",
					pipeline->row->epoch + 1, pipeline->row->name, error->message),
			 error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
			 error->context != NULL ? errcontext_msg("%s", error->context) : 0));
	pipeline_trouble(pipeline, error->message,
					 error->hint != NULL ? error->hint : "It is tried again until it succeeds; the server's log has the details.");
	return EPOCH_AGAIN;
}

/* Some record of the batch is to blame: look for it by halves. */
static EpochOutcome
batch_failed(Pipeline *pipeline, ErrorData *error)
{
	int			taken = pipeline->attempt.taken;

	if (taken == 0)
		return infrastructure_failed(pipeline, error);
	if (taken == 1)
		return record_failed(pipeline, 0, STAGE_STORE, error);
	pipeline->limit = taken / 2;
	return EPOCH_AGAIN;
}

/* Decides what comes after an attempt that was rolled back. */
EpochOutcome
pipeline_failed(Pipeline *pipeline, ErrorData *error)
{
	const Attempt *attempt = &pipeline->attempt;

	views_discard(pipeline);
	pipeline->limit_once = 0;
	if (failure_is_infrastructure(error->sqlerrcode, attempt->stage) &&
		!(attempt->stage == STAGE_FOLD && is_the_views_own(pipeline, error->sqlerrcode)))
		return infrastructure_failed(pipeline, error);
	if (attempt->stage == STAGE_FOLD)
	{
		pipeline_view_failed(pipeline, attempt->view, error);
		return EPOCH_AGAIN;
	}
	if (attempt->old_record != NULL)
	{
		blame_record(pipeline, attempt->old_record, attempt->decoding, attempt->stage, error);
		return EPOCH_AGAIN;
	}
	if (attempt->record >= 0)
		return record_failed(pipeline, attempt->record, attempt->stage, error);
	if (attempt->row >= 0)
		return record_failed(pipeline, pipeline->chunk.rows->records[attempt->row] - pipeline->batch->records,
							 attempt->stage, error);
	return batch_failed(pipeline, error);
}
