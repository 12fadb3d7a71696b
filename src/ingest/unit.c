/*
 * unit.c
 *		Running a piece of work in a transaction that either commits or never was.
 *
 * A worker gives each piece a transaction of its own.  run_once works inside its
 * caller's, so there each is a subtransaction.  In both an active snapshot is set,
 * and an error comes back as a value after the roll-back; only what must end the
 * session or the statement (a shutdown, a cancel of run_once) goes on upwards.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ingest/pipeline.h"

static void
unit_begin(Pipeline *pipeline)
{
	if (pipeline->nested)
		BeginInternalSubTransaction(NULL);
	else
	{
		/* else now() is for ever the time at which the worker began */
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(pipeline->attempt_context);
}

static void
unit_commit(Pipeline *pipeline, ResourceOwner owner)
{
	PopActiveSnapshot();
	if (pipeline->nested)
	{
		ReleaseCurrentSubTransaction();
		CurrentResourceOwner = owner;
	}
	else
		CommitTransactionCommand();
}

static void
unit_roll_back(Pipeline *pipeline, ResourceOwner owner)
{
	if (pipeline->nested)
	{
		RollbackAndReleaseCurrentSubTransaction();
		CurrentResourceOwner = owner;
	}
	else
		AbortCurrentTransaction();
}

ErrorData *
pipeline_unit(Pipeline *pipeline, UnitOfWork work, void *argument, MemoryContext context)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	unit_begin(pipeline);
	PG_TRY();
	{
		work(pipeline, argument);
		unit_commit(pipeline, owner);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		unit_roll_back(pipeline, owner);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	/* only now: a subtransaction left open would become the session's, aborted */
	if (error != NULL && pipeline->nested && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	return error;
}

/* What pipeline_pause and pipeline_trouble write. */
typedef struct Notice
{
	RunState	state;
	const char *error;
	const char *hint;
} Notice;

static void
write_state(Pipeline *pipeline, void *argument)
{
	Notice	   *notice = argument;

	if (pipeline_lock(pipeline->row->id) != NULL)
		pipeline_set_state(pipeline->row->id, notice->state, notice->error, notice->hint);
}

static void
write_trouble(Pipeline *pipeline, void *argument)
{
	Notice	   *notice = argument;

	pipeline_set_trouble(pipeline->row->id, notice->error, notice->hint);
}

/* Writes a notice; when even that fails, the log has to do. */
static void
give_notice(Pipeline *pipeline, UnitOfWork work, Notice *notice)
{
	ErrorData  *error = pipeline_unit(pipeline, work, notice, pipeline->retry);

	if (error != NULL)
		ereport(LOG,
				(errmsg("could not record the state of \"%s\": %s", pipeline->row->name, error->message)));
}

/* Stops the pipeline, with reason and next step, until somebody resumes it. */
void
pipeline_pause(Pipeline *pipeline, RunState state, const char *error, const char *hint)
{
	Notice		notice = {.state = state, .error = error, .hint = hint};

	ereport(pipeline->nested ? WARNING : LOG,
			(errmsg("\"%s\" is %s: %s", pipeline->row->name, state == STATE_PAUSED ? "paused" : "stopped", error),
			 hint != NULL ? errhint("%s", hint) : 0));
	give_notice(pipeline, write_state, &notice);
}

/* Shows what a running pipeline struggles with; NULL takes it back. */
void
pipeline_trouble(Pipeline *pipeline, const char *error, const char *hint)
{
	Notice		notice = {.error = error, .hint = hint};

	if (error == NULL && !pipeline->troubled)
		return;
	pipeline->troubled = error != NULL;
	give_notice(pipeline, write_trouble, &notice);
}
