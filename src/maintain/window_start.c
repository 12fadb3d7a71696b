/*
 * window_start.c
 *		The window's start of a row, remembered while rows stay in one window.
 *
 * In comes an event time; out comes date_bin or date_trunc of it.  Rows come nearly
 * in time order, so the last answer is nearly always right, and knowing for which
 * times it is right saves the call.
 *
 * How it is known: the function is monotonic in time, for date_trunc in a time zone
 * as long as the zone's offset from UTC does not change.  The window's start and end
 * (cut at changes of the offset) are tried with the function itself; when both ends
 * have the same start as the row, so has every time between them.  Where zones do
 * strange things (a day that is entered twice, hours that overlap) the trial fails
 * and nothing is remembered.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "maintain/window_start.h"

/* Zone of a three-argument date_trunc; NULL: one that we would have to guess about. */
static const char *
constant_zone(const FuncExpr *call)
{
	const Const *zone = lthird_node(Const, call->args);
	char	   *name;

	if (zone->constisnull)
		return NULL;
	name = TextDatumGetCString(zone->constvalue);

	/* abbreviations come before zone names, and may be the same words */
	if (strchr(name, '/') == NULL && strcmp(name, "UTC") != 0)
		return NULL;
	return pg_tzset(name) != NULL ? name : NULL;
}

/* Is it one of the functions we know, of the event time and constants? */
static bool
is_known_start(const ViewSpec *spec, Expr *start)
{
	FuncExpr   *call = (FuncExpr *) start;
	ListCell   *lc;
	int			at = 0;

	if (!IsA(spec->window.time, Var) || !IsA(start, FuncExpr))
		return false;
	/* the start of a pane is our own function, with its arguments in the same order */
	if (spec->window.kind != WINDOW_PANES &&
		call->funcid != F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ &&
		call->funcid != F_DATE_BIN_INTERVAL_TIMESTAMP_TIMESTAMP &&
		call->funcid != F_DATE_TRUNC_TEXT_TIMESTAMP &&
		call->funcid != F_DATE_TRUNC_TEXT_TIMESTAMPTZ &&
		call->funcid != F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT)
		return false;
	foreach(lc, call->args)
	{
		/* the time is the second argument of each of them */
		if (at++ == 1 ? !equal(lfirst(lc), spec->window.time) : !IsA(lfirst(lc), Const))
			return false;
	}
	return true;
}

/* Prepares: see the header. */
WindowStart *
window_start_create(const ViewSpec *spec, Expr *start, WindowLimits *limits)
{
	FuncExpr   *call = (FuncExpr *) start;
	WindowStart *window;
	const char *zone_name = NULL;
	int			natts;

	if (!is_known_start(spec, start))
		return NULL;
	if (call->funcid == F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT)
	{
		zone_name = constant_zone(call);
		if (zone_name == NULL)
			return NULL;
	}

	window = palloc0(sizeof(WindowStart));
	window->source = ((Var *) spec->window.time)->varattno - 1;
	window->start = ExecInitExpr(start, NULL);
	window->limits = limits;
	window->zoned = call->funcid == F_DATE_TRUNC_TEXT_TIMESTAMPTZ || zone_name != NULL;
	window->zone_name = zone_name;
	natts = window->source + 1;
	window->values = palloc0(natts * sizeof(Datum));
	window->isnull = palloc0(natts * sizeof(bool));
	window->first = 1;
	return window;
}

/* Forgets what was remembered under another time zone. */
void
window_start_check_zone(WindowStart *window)
{
	pg_tz	   *zone;

	if (!window->zoned)
		return;
	zone = window->zone_name != NULL ? pg_tzset(window->zone_name) : session_timezone;
	if (zone != window->zone)
	{
		window->zone = zone;
		window->first = 1;
		window->last = 0;
	}
}

/* Evaluates the start for any time. */
static Datum
evaluate(WindowStart *window, ExprContext *context, int64 time)
{
	TupleTableSlot *slot = context->ecxt_scantuple;
	Datum	   *values = slot->tts_values;
	bool	   *isnull = slot->tts_isnull;
	Datum		result;
	bool		result_null;

	/* the expression reads no other column; the slot counts as full either way */
	window->values[window->source] = Int64GetDatum(time);
	slot->tts_values = window->values;
	slot->tts_isnull = window->isnull;
	result = ExecEvalExprSwitchContext(window->start, context, &result_null);
	slot->tts_values = values;
	slot->tts_isnull = isnull;
	Assert(!result_null);
	return result;
}

/* Seconds since 1970, rounded down. */
static pg_time_t
seconds_of(int64 time)
{
	int64		seconds = time / USECS_PER_SEC - (time % USECS_PER_SEC < 0 ? 1 : 0);

	return seconds + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
}

/* The other way. */
static int64
time_of(pg_time_t seconds)
{
	return (seconds - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY) * USECS_PER_SEC;
}

/* Cuts [*first, *last], which holds time, at changes of the zone's offset.  False: not known. */
static bool
cut_at_offset_changes(pg_tz *zone, int64 time, int64 *first, int64 *last)
{
	for (;;)
	{
		pg_time_t	from = seconds_of(*first);
		pg_time_t	boundary;
		long		before;
		long		after;
		int			before_dst;
		int			after_dst;
		int			found = pg_next_dst_boundary(&from, &before, &before_dst, &boundary,
												 &after, &after_dst, zone);

		if (found < 0)
			return false;
		if (found == 0 || time_of(boundary) > *last)
			return true;
		if (time_of(boundary) > time)
		{
			*last = time_of(boundary) - 1;
			return true;
		}
		if (time_of(boundary) <= *first)
			return false;
		*first = time_of(boundary);
	}
}

/* Finds the times around `time` that have the same start. */
static void
remember(WindowStart *window, ExprContext *context, int64 time)
{
	int64		first = DatumGetInt64(window->value);
	int64		last;

	window->first = time;
	window->last = time;
	if (TIMESTAMP_NOT_FINITE(first))
		return;
	last = window_limits_of(window->limits, window->value)->end;
	if (TIMESTAMP_NOT_FINITE(last) || first > time || --last < time)
		return;
	if (window->zoned && !cut_at_offset_changes(window->zone, time, &first, &last))
		return;
	if (evaluate(window, context, first) == window->value)
		window->first = first;
	if (evaluate(window, context, last) == window->value)
		window->last = last;
}

/* Computes the start: see the header. */
Datum
window_start_compute(WindowStart *window, ExprContext *context, int64 time)
{
	window->last = window->first - 1;	/* nothing, should evaluation fail */
	window->value = evaluate(window, context, time);
	remember(window, context, time);
	return window->value;
}
