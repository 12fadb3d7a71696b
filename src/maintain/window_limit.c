/*
 * window_limit.c
 *		When the windows of a view end, and from which watermark on they are closed.
 *
 * In comes a window's start; out come its end, by the view's own expression (days
 * and months in the view's time zone included), and end + lateness.  Both are
 * computed once for each of the few windows that are open at a time.  Of a pane, the
 * limit is that of the first of its windows: from there on rows need a closer look.
 *
 * A window so near the end of time that its end or limit cannot be written down never
 * closes: folding a row must not fail where the definition's own query does not.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "maintain/window_limit.h"
#include "window/lateness.h"

#define REMEMBERED	16			/* windows, a power of two */

/* Of a window that ends at infinity: above every watermark but that of an input that is over. */
#define LAST_LIMIT	(DT_NOEND - 1)

struct WindowLimits
{
	EState	   *estate;
	ExprContext *context;
	ExprState  *end;
	TupleTableSlot *slot;		/* one column: the start */
	int64		span;			/* about how long a window is */
	const WindowShape *shape;	/* starts are those of panes; NULL: of windows */

	bool		has_lateness;
	Interval	lateness;
	int64		late_span;		/* how long that is */

	bool		known[REMEMBERED];
	WindowLimit memo[REMEMBERED];
};

/* Evaluates the end of the window that starts there. */
static TimestampTz
evaluate_end(WindowLimits *limits, TimestampTz start)
{
	TupleTableSlot *slot = limits->slot;
	Datum		end;
	bool		isnull;

	ExecClearTuple(slot);
	slot->tts_values[0] = Int64GetDatum(start);
	slot->tts_isnull[0] = false;
	ExecStoreVirtualTuple(slot);
	end = ExecEvalExprSwitchContext(limits->end, limits->context, &isnull);
	ResetExprContext(limits->context);
	return isnull ? DT_NOEND : DatumGetInt64(end);
}

/* Compiles the end's expression; sessions have none that follows from their start. */
WindowLimits *
window_limits_create(const ViewSpec *spec)
{
	WindowLimits *limits = palloc0(sizeof(WindowLimits));
	TupleDesc	desc = CreateTemplateTupleDesc(1);
	int64		span;

	limits->shape = spec->window.kind == WINDOW_PANES ? &spec->window.panes.shape : NULL;
	if (spec->window.kind == WINDOW_SESSION)
		return limits;

	TupleDescInitEntry(desc, 1, "start", spec->window.time_type, -1, 0);
	limits->estate = CreateExecutorState();
	limits->context = CreateExprContext(limits->estate);
	limits->end = ExecInitExpr(expression_planner((Expr *) copyObject(spec->window.end)), NULL);
	limits->slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	limits->context->ecxt_scantuple = limits->slot;

	/* the window at timestamp zero (2000-01-01), doubled for longer months and years */
	span = evaluate_end(limits, 0);
	limits->span = span < END_TIMESTAMP / 2 ? 2 * span : END_TIMESTAMP;
	return limits;
}

/* Takes note of the lateness. */
bool
window_limits_set_lateness(WindowLimits *limits, const Interval *lateness)
{
	bool		has = lateness != NULL;

	if (has == limits->has_lateness &&
		(!has || memcmp(lateness, &limits->lateness, sizeof(Interval)) == 0))
		return false;
	limits->has_lateness = has;
	if (has)
		limits->lateness = *lateness;
	limits->late_span = has ? lateness_length(lateness) : 0;
	memset(limits->known, false, sizeof(limits->known));
	return true;
}

bool
window_limits_has_lateness(const WindowLimits *limits)
{
	return limits->has_lateness;
}

/* How long the lateness is. */
int64
window_limits_late_span(const WindowLimits *limits)
{
	return limits->late_span;
}

/* end + lateness, as deltaflow.window_limit computes it, but not above LAST_LIMIT. */
TimestampTz
window_limits_add_lateness(const WindowLimits *limits, TimestampTz end)
{
	return Min(lateness_limit(end, limits->late_span), LAST_LIMIT);
}

/* The end of the window of a pane that ends first. */
static TimestampTz
first_window_end(const WindowShape *shape, TimestampTz pane)
{
	WindowCursor cursor;
	WindowBounds window;

	window_cursor_begin(&cursor, shape, pane);
	/* panes between windows have none, and no row gets there */
	return window_cursor_next(&cursor, &window) ? window.end : pane;
}

/* Computes one window's limit. */
static void
compute_limit(WindowLimits *limits, WindowLimit *limit, TimestampTz start)
{
	limit->start = start;
	if (TIMESTAMP_NOT_FINITE(start))
		limit->end = start;
	else if (start >= END_TIMESTAMP - limits->span)
		limit->end = DT_NOEND;
	else
		limit->end = evaluate_end(limits, start);
	limit->limit = window_limits_add_lateness(limits, limits->shape != NULL ?
											  first_window_end(limits->shape, start) : limit->end);
}

/* Of the window that starts there. */
const WindowLimit *
window_limits_of(WindowLimits *limits, Datum start)
{
	TimestampTz at = DatumGetTimestampTz(start);
	uint64		hash = (uint64) at * UINT64CONST(0x9e3779b97f4a7c15);
	int			slot = hash >> 60;

	StaticAssertStmt(REMEMBERED == 16, "the slot is the top four bits");
	if (!limits->known[slot] || limits->memo[slot].start != at)
	{
		limits->known[slot] = false;
		compute_limit(limits, &limits->memo[slot], at);
		limits->known[slot] = true;
	}
	return &limits->memo[slot];
}
