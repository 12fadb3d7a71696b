/*
 * expire.c
 *		Old windows leave the state table.
 *
 * In come the watermark and how long windows stay after their end; what goes out are
 * stored groups, the oldest windows first, a bounded number of them per epoch.
 *
 *		removed_to                horizon
 *		   |  removed, or nothing    |  complete
 *		---+-------------------------+------------------> start of window
 *
 * The invariant: only groups go whose windows are closed for every row that can still
 * come (retention is never shorter than lateness), so nothing in memory that names a
 * removed row is used again.  At and behind the horizon every window is as its rows made it.
 *
 * When an input is over (the watermark is infinity) nothing is removed: age by event
 * time has no meaning then.
 *
 * A walk goes along the index, from the last start removed, which costs one descent
 * when there is nothing to do.  Locks are those of any write to the state table; a
 * crash leaves what the last commit left, and the next walk begins at the oldest row.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/memutils.h"

#include "compat.h"
#include "maintain/live_view_state.h"
#include "maintain/window_table.h"
#include "window/lateness.h"

/* What decides whether a group goes. */
typedef struct Expiry
{
	LiveView   *view;
	TimestampTz watermark;
	int64		retain;
} Expiry;

/* The end of the cycle that a pane of cumulative windows belongs to. */
static TimestampTz
cycle_end(const WindowShape *shape, TimestampTz start)
{
	WindowShape cycles = *shape;

	cycles.pane = cycles.size;
	return time_plus(pane_of(&cycles, start), shape->size);
}

TimestampTz
live_view_last_end(LiveView *view, TimestampTz start)
{
	const ViewSpec *spec = view->spec;

	if (spec->window.kind != WINDOW_PANES)
		return window_limits_of(view->limits, TimestampTzGetDatum(start))->end;
	if (spec->window.panes.shape.kind == SHAPE_CUMULATE)
		return cycle_end(&spec->window.panes.shape, start);
	return time_plus(start, spec->window.panes.shape.size);
}

/* The first border behind a group that ranges of windows can be cut at. */
static TimestampTz
border_behind(LiveView *view, TimestampTz start)
{
	const ViewSpec *spec = view->spec;

	if (spec->window.kind == WINDOW_PANES && spec->window.panes.shape.kind == SHAPE_CUMULATE)
		return cycle_end(&spec->window.panes.shape, start);
	return window_limits_of(view->limits, TimestampTzGetDatum(start))->end;
}

/*
 * The least horizon that says that something was removed: behind the window of rows at -infinity, which ends there.
 * Local times stay clear of where they have no instant.
 */
static TimestampTz
first_border(LiveView *view)
{
	return view->spec->window.time_type == TIMESTAMPOID ? MIN_TIMESTAMP + 2 * USECS_PER_DAY : MIN_TIMESTAMP;
}

static bool
is_expired(void *arg, TimestampTz start)
{
	Expiry	   *expiry = arg;

	return lateness_reached(lateness_limit(live_view_last_end(expiry->view, start), expiry->retain),
							expiry->watermark);
}

/* Removes groups of windows that do not move. */
static bool
expire_windows(LiveView *view, TimestampTz watermark, int64 retain, int64 max_rows, TimestampTz *horizon)
{
	Expiry		expiry = {view, watermark, retain};
	TimestampTz last;
	int64		removed = window_table_remove(live_view_table(view), view->spec, view->removed_to, max_rows,
											  is_expired, &expiry, &last);

	if (removed > 0)
	{
		CommandCounterIncrement();
		view->removed_to = last;
		view->stored_groups -= removed;
		*horizon = Max(border_behind(view, last), first_border(view));
	}
	return removed < max_rows;
}

bool
live_view_expire(LiveView *view, TimestampTz watermark, const Interval *lateness, int64 retain, int64 max_rows,
				 TimestampTz *horizon)
{
	MemoryContext old;
	bool		done;

	if (!view->windowed || TIMESTAMP_NOT_FINITE(watermark))
		return true;
	old = MemoryContextSwitchTo(view->epoch_context);
	done = view->sessions != NULL ?
		session_view_expire(view, watermark, lateness, retain, max_rows, horizon) :
		expire_windows(view, watermark, retain, max_rows, horizon);
	MemoryContextSwitchTo(old);
	live_view_release_table(view);
	return done;
}
