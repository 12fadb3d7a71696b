/*
 * views.c
 *		The continuous views of a pipeline: opening, filling, folding, writing.
 *
 * A view is touched only as its owner, with its pinned settings.  What goes wrong
 * in a view is the view's own business: attempt.view names it, the attempt is
 * repeated without it, and it is marked failed in that same transaction, so the
 * others go on and it stands exactly where the last good epoch left it.
 *
 * A view in state backfilling takes part in epochs as the others do; fill.c adds
 * what was there before it, a slice per epoch.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "ingest/pipeline.h"
#include "ingest/relation.h"
#include "ingest/stale.h"
#include "view/load.h"
#include "view/lock.h"
#include "worker/settings.h"

#define EXPIRE_ROWS	5000		/* of one view in one epoch */
#define RESUME_HINT	"Correct the cause, then SELECT deltaflow.resume('%s'): the view is filled again."
#define PATH_HINT	"Functions run with search_path pg_catalog, pg_temp here: name schemas in their bodies, or give them SET search_path. Then SELECT deltaflow.resume('%s')."

/* The view's qualified name, for messages and hints. */
static char *
view_name(const PipelineView *view)
{
	char	   *name = get_rel_name(view->row->live);

	if (name == NULL)
		return psprintf("%u", view->row->live);
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(view->row->live)), name);
}

/* Takes a view out, with the reason to be recorded by the next attempt. */
static void
view_fails(Pipeline *pipeline, PipelineView *view, const char *error, const char *hint)
{
	MemoryContext before = MemoryContextSwitchTo(pipeline->context);

	view->error = pstrdup(error);
	view->hint = pstrdup(hint);
	MemoryContextSwitchTo(before);
	if (view->live != NULL)
		live_view_close(view->live);
	view->live = NULL;
}

/* Takes the view's relations for reading; false when the view was dropped since it was listed. */
static bool
lock_view(Pipeline *pipeline, PipelineView *view)
{
	Oid			busy = view_lock(view->row, AccessShareLock, pipeline->nested);

	if (OidIsValid(busy))
		relation_busy(busy);
	return get_rel_name(view->row->live) != NULL || view_by_live(view->row->live) != NULL;
}

/* Makes the view's spec again from its stored definition, and prepares to fold. */
static void
view_open(Pipeline *pipeline, void *argument)
{
	PipelineView *view = argument;
	ViewRefusal *refusal;
	Identity	identity;
	MemoryContext before;

	if (!lock_view(pipeline, view))
		return;					/* the generation has moved on as well: all is loaded again */
	stale_watch(view->row->live);
	stale_watch(view->row->batch);
	view->owner = relation_owner(view->row->live);
	identity = identity_become(view->owner, view->row->pinned);
	before = MemoryContextSwitchTo(pipeline->context);
	refusal = view_load(view->row, &view->spec);
	if (refusal != NULL)
		view_refusal_raise(refusal);
	view_adopt(view->row);
	view->settings = view_options_parse(view->row->options);
	view->live = live_view_open(view->spec, (size_t) setting_group_cache * 1024);
	view->filling = view->row->state == STATE_BACKFILLING;
	view->fill_committed = view->row->fill;
	MemoryContextSwitchTo(before);
	identity_restore(identity);
}

/* The view's books, one entry per partition of the pipeline. */
static void
load_books(Pipeline *pipeline, PipelineView *view)
{
	size_t		size = sizeof(PositionRow) * Max(pipeline->npartitions, 1);
	ListCell   *lc;

	view->committed = MemoryContextAllocZero(pipeline->context, size);
	view->now = MemoryContextAllocZero(pipeline->context, size);
	for (int i = 0; i < pipeline->npartitions; i++)
		view->committed[i].partition = pipeline->partitions[i].committed.partition;
	foreach(lc, view_position_list(view->row->id))
	{
		PositionRow *row = lfirst(lc);

		for (int i = 0; i < pipeline->npartitions; i++)
			if (view->committed[i].partition == row->partition)
				view->committed[i] = *row;
	}
}

/* Reads the catalog's list of views. */
static void
views_list(Pipeline *pipeline, void *argument)
{
	MemoryContext before = MemoryContextSwitchTo(pipeline->context);
	List	   *rows = view_list(pipeline->row->id);
	ListCell   *lc;

	pipeline->nviews = 0;
	pipeline->views = palloc0(sizeof(PipelineView) * Max(list_length(rows), 1));
	foreach(lc, rows)
	{
		PipelineView *view = &pipeline->views[pipeline->nviews++];

		view->row = lfirst(lc);
		if (!pipeline_stores(pipeline))
			load_books(pipeline, view);
	}
	MemoryContextSwitchTo(before);
}

/* Opens every view that runs or waits to be filled; one that cannot be opened fails alone. */
void
views_open(Pipeline *pipeline)
{
	ErrorData  *error = pipeline_unit(pipeline, views_list, NULL, pipeline->retry);

	if (error != NULL)
		ReThrowError(error);
	for (int i = 0; i < pipeline->nviews; i++)
	{
		PipelineView *view = &pipeline->views[i];

		if (view->row->state != STATE_RUNNING && view->row->state != STATE_BACKFILLING)
			continue;
		error = pipeline_unit(pipeline, view_open, view, pipeline->retry);
		if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTERNAL_ERROR)
			error = pipeline_unit(pipeline, view_open, view, pipeline->retry);	/* was the catalog being changed? */
		if (error != NULL && ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_INTERNAL_ERROR &&
			failure_is_infrastructure(error->sqlerrcode, STAGE_FOLD))
			ReThrowError(error);
		if (error != NULL)
			pipeline_view_failed(pipeline, view, error);
	}
}

/* The next step after an error. */
static const char *
hint_for(const ErrorData *error, const char *name)
{
	/* what a function finds by its caller's search_path, and not by ours; of functions the server only says to cast */
	if (error->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION)
		return psprintf(PATH_HINT, name);
	if (error->hint != NULL)
		return error->hint;
	return psprintf(error->sqlerrcode == ERRCODE_UNDEFINED_TABLE || error->sqlerrcode == ERRCODE_UNDEFINED_OBJECT ?
					PATH_HINT : RESUME_HINT, name);
}

/* Notes that a view failed with an error; its name may need the catalog, so in a unit. */
typedef struct Failing
{
	PipelineView *view;
	ErrorData  *error;
} Failing;

static void
record_failure(Pipeline *pipeline, void *argument)
{
	Failing    *failing = argument;
	char	   *name = view_name(failing->view);
	char	   *message = failing->error->detail == NULL ? failing->error->message :
		psprintf("%s: %s", failing->error->message, failing->error->detail);

	view_fails(pipeline, failing->view, message, hint_for(failing->error, name));
	ereport(pipeline->nested ? WARNING : LOG,
			(errmsg("view %s has failed: %s", name, message)));
}

/* The view takes no part any more; the next attempt records why. */
void
pipeline_view_failed(Pipeline *pipeline, PipelineView *view, ErrorData *error)
{
	Failing		failing = {view, error};

	error = pipeline_unit(pipeline, record_failure, &failing, pipeline->retry);
	if (error != NULL)
		view_fails(pipeline, view, failing.error->message, "See deltaflow.status.");
}

/* Columns that the views read. */
Bitmapset *
views_columns(const Pipeline *pipeline)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < pipeline->nviews; i++)
		if (pipeline->views[i].live != NULL)
			columns = bms_add_members(columns, pipeline->views[i].spec->source_columns);
	return columns;
}

/* What the view may keep, as of this epoch. */
static void
set_caps(const Pipeline *pipeline, PipelineView *view)
{
	const ViewSettings *settings = &view->settings;
	ViewCaps	caps = {settings->max_open_windows, settings->max_groups, settings->max_state_bytes};

	live_view_set_caps(view->live, &caps, pipeline->row->watermark);
}

/* Records views that failed in an earlier attempt, and starts the others from what is committed. */
void
views_begin(Pipeline *pipeline)
{
	for (int i = 0; i < pipeline->nviews; i++)
	{
		PipelineView *view = &pipeline->views[i];

		view->late = 0;
		view->horizon = view->row->horizon;
		if (view->error != NULL)
			view_set_state(view->row->id, STATE_FAILED, view->error, view->hint);
		if (view->now != NULL)
			memcpy(view->now, view->committed, sizeof(PositionRow) * pipeline->npartitions);
		view->fill_now = view->fill_committed;
		view->filled_now = false;
		if (view->live != NULL)
			set_caps(pipeline, view);
		if (view->filling && !FullTransactionIdIsValid(view->fill_now.xid))
			fill_begin(pipeline, view);
	}
}

/* A row of the chunk as JSON text, by the types' own output functions. */
static char *
row_as_json(const RowBatch *rows, int row)
{
	HeapTuple	tuple = heap_form_tuple(rows->desc, row_values(rows, row), row_isnull(rows, row));
	Datum		composite = heap_copy_tuple_as_datum(tuple, rows->desc);

	return TextDatumGetCString(DirectFunctionCall1(row_to_json, composite));
}

/* Keeps the late rows of one view.  Rows become text as the view's owner, table rows as the extension's. */
static void
keep_late_rows(Pipeline *pipeline, PipelineView *view, const FoldResult *result)
{
	const RowBatch *rows = pipeline->chunk.rows;

	view->late += result->nlate;
	for (int i = 0; i < result->nlate; i++)
	{
		const LateRow *late = &result->late[i];

		late_row_insert(view->row->id, pipeline->row->epoch + 1, pipeline->topic->name,
						rows->records[late->row], DatumGetTimestampTz(late->event_time),
						late->window_start, late->window_end, late->left_out, row_as_json(rows, late->row));
	}
}

/* Enters what the view did with each row into its books. */
static void
enter_fates(Pipeline *pipeline, PipelineView *view, const FoldResult *result)
{
	const RowBatch *rows = pipeline->chunk.rows;

	for (int i = 0; i < rows->nrows; i++)
	{
		Partition  *partition = pipeline_partition(pipeline, rows->records[i]->partition);
		PositionRow *books = &view->now[partition - pipeline->partitions];

		switch (result->fate[i])
		{
			case 'a':
				books->applied++;
				break;
			case 'l':
				books->late++;
				break;
			case 'n':
				books->dead++;
				break;
			default:
				books->filtered++;
		}
	}
}

/* Folds the chunk's rows into every view. */
void
views_fold(Pipeline *pipeline)
{
	RowBatch   *rows = pipeline->chunk.rows;

	if (rows->nrows == 0)
		return;
	pipeline->attempt.stage = STAGE_FOLD;
	for (int i = 0; i < pipeline->nviews; i++)
	{
		PipelineView *view = &pipeline->views[i];
		FoldResult	result;
		Identity	before;

		if (view->live == NULL)
			continue;
		pipeline->attempt.view = view;
		before = identity_become(view->owner, view->row->pinned);
		rows->skip = view->has_not_rows ? view->not_rows : NULL;
		/* a view without lateness takes every row, however old */
		live_view_fold(view->live, rows, view->row->lateness != NULL ? pipeline->row->watermark : DT_NOBEGIN,
					   view->row->lateness, &result);
		keep_late_rows(pipeline, view, &result);
		identity_restore(before);
		if (view->now != NULL)
			enter_fates(pipeline, view, &result);
	}
	rows->skip = NULL;
	pipeline->attempt.view = NULL;
	pipeline->attempt.stage = STAGE_NONE;
}

/* Removes a slice of the windows that are older than the view retains. */
static void
expire(Pipeline *pipeline, PipelineView *view)
{
	if (view->settings.retain == VIEW_RETAIN_ALL || view->filling)
		return;
	view->expiring = !live_view_expire(view->live, pipeline->row->watermark, view->row->lateness,
									   view->settings.retain, EXPIRE_ROWS, &view->horizon);
}

/* Writes what was folded, with a slice of what is older in views being filled, and counts late rows. */
void
views_write(Pipeline *pipeline)
{
	pipeline->attempt.stage = STAGE_FOLD;
	for (int i = 0; i < pipeline->nviews; i++)
	{
		PipelineView *view = &pipeline->views[i];
		Identity	before;

		if (view->live == NULL)
			continue;
		pipeline->attempt.view = view;
		before = identity_become(view->owner, view->row->pinned);
		if (view->filling)
			fill_slice(pipeline, view);
		live_view_write(view->live);
		expire(pipeline, view);
		identity_restore(before);
		if (view->late > 0)
			view_add_late(view->row->id, view->late);
		if (view->horizon > view->row->horizon)
			view_set_horizon(view->row->id, view->horizon);
	}
	pipeline->attempt.view = NULL;
	pipeline->attempt.stage = STAGE_NONE;
}

/* The transaction has committed: failures it recorded are in the catalog. */
void
views_committed(Pipeline *pipeline)
{
	for (int i = 0; i < pipeline->nviews; i++)
	{
		PipelineView *view = &pipeline->views[i];

		view->error = NULL;
		view->row->horizon = Max(view->row->horizon, view->horizon);
	}
	fill_committed(pipeline);
}

/* After a roll-back: nothing that views hold in memory is true any more. */
void
views_discard(Pipeline *pipeline)
{
	for (int i = 0; i < pipeline->nviews; i++)
		if (pipeline->views[i].live != NULL)
			live_view_discard(pipeline->views[i].live);
}
