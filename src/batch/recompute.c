/*
 * recompute.c
 *		Correcting a live view in place from the stored rows.
 *
 * What comes in: a view and a range of event time.  What goes out: the state of the
 * range's windows made anew from what the source holds now, late rows included.
 *
 * Windows that overlap are made anew by pane: the range is one of rows, and live rows
 * of windows that begin before it change, too.  A range of sessions is closed over
 * whole ones (session_recompute.c).
 *
 *		lock view and pipeline -> remember the live rows of the range
 *			-> delete their groups -> fold the source's rows of the range
 *			-> count the live rows that differ -> late rows are taken in
 *
 * The invariant: the pipeline's row is locked, after the view's relations, to the
 * end, so that no epoch runs meanwhile and the source is read exactly as the last epoch left it; a
 * topic is read up to the pipeline's positions.  The generation moves on, and the
 * worker forgets its cache.  All of it is one transaction: an error or a crash
 * leaves the view as it was.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "batch/batch.h"
#include "batch/live_rows.h"
#include "batch/batch_progress.h"
#include "batch/session_recompute.h"
#include "compat.h"
#include "fdw/bounds.h"
#include "fdw/topic.h"
#include "maintain/live_view.h"
#include "view/load.h"
#include "view/lock.h"

#define RECOMPUTE_CACHE_BYTES ((size_t) 64 * 1024 * 1024)

/* Deletes the groups of the range from the state table. */
static void
delete_groups(const ViewRow *view, const ViewSpec *spec, const TimeRange *range)
{
	char	   *condition = "";

	if (spec->window.kind != WINDOW_NONE)
		condition = range_over_column(spec, range, spec->keys[spec->window.key].column.name);
	SPI_execute(psprintf("DELETE FROM %s%s", live_rows_relation(view->state_table), condition), false, 0);
}

/* Folds the source's rows of the range into the emptied state. */
static void
fill_groups(const ViewSpec *spec, const TimeRange *range)
{
	LiveView   *live = live_view_open(spec, RECOMPUTE_CACHE_BYTES);

	live_view_fill(live, spec->source_relid, range_over_source(spec, range));
	live_view_close(live);
}

/* Makes the groups of the range anew.  Live rows that changed. */
static int64
recompute_groups(const ViewRow *view, const ViewSpec *spec, const TimeRange *range)
{
	TimeRange	windows = range_of_windows(spec, range);

	live_rows_remember(view, spec, &windows);
	delete_groups(view, spec, range);
	CommandCounterIncrement();
	fill_groups(spec, range);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	batch_progress_phase(PHASE_WRITING);
	return live_rows_count_changed(view, spec, &windows);
}

/* Late rows of the range count from now on. */
static void
take_late_rows_in(const ViewRow *view, const ViewSpec *spec, const TimeRange *range)
{
	TimestampTz since = range->has_since ? range_bound(spec, range->since) : DT_NOBEGIN;
	TimestampTz until = range->has_until ? range_bound(spec, range->until) : DT_NOEND;

	/* rows of a pane are late for windows that begin before it */
	late_rows_taken_in(view->id, spec->window.kind == WINDOW_PANES, since, until);
}

int64
batch_recompute(const ViewRow *view, const TimeRange *wanted)
{
	TimeRange	kept = *wanted;
	const TimeRange *range = &kept;
	ViewRow    *now;
	Identity	before;
	Oid			owner;
	ViewSpec   *spec;
	bool		topic;
	bool		sessions;		/* a range of them */
	int64		changed;

	(void) view_lock(view, RowExclusiveLock, true);
	if (pipeline_lock(view->pipeline_id) == NULL || (now = view_by_live(view->live)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the view was dropped meanwhile")));
	owner = view_owner(view);
	PushActiveSnapshot(GetLatestSnapshot());
	batch_progress_begin("recompute", view->live, -1);
	before = identity_become(owner, view->pinned);
	spec = live_rows_spec(view);
	range_check(spec, range);
	range_check_kept(spec, now->horizon, &kept);
	topic = is_topic(spec->source_relid);
	sessions = spec->window.kind == WINDOW_SESSION && (range->has_since || range->has_until);
	SPI_connect();
	if (topic)
		live_rows_bound_topic(view, spec);
	changed = sessions ? session_recompute(view, spec, range, RECOMPUTE_CACHE_BYTES) : recompute_groups(view, spec, range);
	if (topic)
		scan_bounds_clear();
	SPI_finish();
	if (!sessions)
		take_late_rows_in(view, spec, range);
	identity_restore(before);
	pipeline_changed(view->pipeline_id);
	PopActiveSnapshot();
	batch_progress_end();
	return changed;
}
