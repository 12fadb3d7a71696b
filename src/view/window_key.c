/*
 * window_key.c
 *		Recognising the window among grouping expressions, and computing where it ends.
 *
 *		date_bin(stride, time, origin)         ends at start + stride
 *		date_trunc(unit, time)                 ends where the next unit begins
 *		date_trunc(unit, time, zone)           the same, in that zone's calendar
 *
 * A day of a zone lasts 23, 24 or 25 hours and may begin at 01:00, so the end of a
 * calendar window is the truncation of start + one unit, both by the calendar.  The
 * stride of date_bin is a number of hours even when written in days.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/formatting.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "view/window_key.h"

/* Units of date_trunc and their length. */
static const struct
{
	const char *name;
	const char *plural;
	Interval	length;			/* time, day, month */
}			units[] =
{
	{"microsecond", "microseconds", {1, 0, 0}},
	{"millisecond", "milliseconds", {1000, 0, 0}},
	{"second", "seconds", {USECS_PER_SEC, 0, 0}},
	{"minute", "minutes", {USECS_PER_MINUTE, 0, 0}},
	{"hour", "hours", {USECS_PER_HOUR, 0, 0}},
	{"day", "days", {0, 1, 0}},
	{"week", "weeks", {0, 7, 0}},
	{"month", "months", {0, 0, 1}},
	{"quarter", "quarters", {0, 0, 3}},
	{"year", "years", {0, 0, MONTHS_PER_YEAR}},
	{"decade", "decades", {0, 0, 10 * MONTHS_PER_YEAR}},
	{"century", "centuries", {0, 0, 100 * MONTHS_PER_YEAR}},
	{"millennium", "millennia", {0, 0, 1000 * MONTHS_PER_YEAR}},
};

/* Length of a unit, case ignored as date_trunc does; NULL when it is not one of the table. */
static const Interval *
unit_length(const char *unit)
{
	char	   *lower = asc_tolower(unit, strlen(unit));

	for (int i = 0; i < lengthof(units); i++)
		if (strcmp(lower, units[i].name) == 0 || strcmp(lower, units[i].plural) == 0)
			return &units[i].length;
	return NULL;
}

/* Length of a unit that must exist. */
static const Interval *
checked_unit_length(const char *unit)
{
	const Interval *length = unit_length(unit);

	if (length == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unit \"%s\" not recognized", unit)));
	return length;
}

/* Whether start + length might leave the calendar. */
static bool
ends_beyond_calendar(Timestamp start, const Interval *length)
{
	int64		days = length->day + 31 * (int64) length->month;

	return TIMESTAMP_NOT_FINITE(start) ||
		start >= END_TIMESTAMP - (days + 2) * USECS_PER_DAY - length->time;
}

static Timestamp
beyond_calendar(Timestamp start)
{
	Timestamp	end;

	if (TIMESTAMP_IS_NOBEGIN(start))
		return start;
	TIMESTAMP_NOEND(end);
	return end;
}

Timestamp
window_end_trunc(Timestamp start, const char *unit)
{
	const Interval *length = checked_unit_length(unit);

	if (ends_beyond_calendar(start, length))
		return beyond_calendar(start);
	return DatumGetTimestamp(DirectFunctionCall2(timestamp_pl_interval,
												 TimestampGetDatum(start), IntervalPGetDatum(length)));
}

/* The next unit by the calendar of the session's zone. */
static TimestampTz
next_unit(TimestampTz start, const char *unit, const Interval *length)
{
	Datum		next = DirectFunctionCall2(timestamptz_pl_interval,
										   TimestampTzGetDatum(start), IntervalPGetDatum(length));

	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_trunc, CStringGetTextDatum(unit), next));
}

/* The next unit by the calendar of a named zone. */
static TimestampTz
next_unit_in_zone(TimestampTz start, const char *unit, const char *zone, const Interval *length)
{
	Datum		zone_text = CStringGetTextDatum(zone);
	Datum		local = DirectFunctionCall2(timestamptz_zone, zone_text, TimestampTzGetDatum(start));
	Datum		next_local = DirectFunctionCall2(timestamp_pl_interval, local, IntervalPGetDatum(length));
	Datum		next = DirectFunctionCall2(timestamp_zone, zone_text, next_local);

	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_trunc_zone, CStringGetTextDatum(unit), next, zone_text));
}

TimestampTz
window_end_trunc_tz(TimestampTz start, const char *unit, const char *zone)
{
	const Interval *length = checked_unit_length(unit);

	if (ends_beyond_calendar(start, length))
		return beyond_calendar(start);
	if (length->day == 0 && length->month == 0)
		return start + length->time;
	return zone ? next_unit_in_zone(start, unit, zone, length) : next_unit(start, unit, length);
}

/* ---- recognition ---- */

/* Where the parts stand in the call of each windowing function. */
static const struct
{
	Oid			function;
	Oid			time_type;
	int			time;			/* argument numbers; -1: none */
	int			width;
	int			zone;
	int			origin;
}			window_functions[] =
{
	{F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ, TIMESTAMPTZOID, 1, 0, -1, 2},
	{F_DATE_BIN_INTERVAL_TIMESTAMP_TIMESTAMP, TIMESTAMPOID, 1, 0, -1, 2},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ, TIMESTAMPTZOID, 1, 0, -1, -1},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT, TIMESTAMPTZOID, 1, 0, 2, -1},
	{F_DATE_TRUNC_TEXT_TIMESTAMP, TIMESTAMPOID, 1, 0, -1, -1},
};

/* The argument as a non-null constant; NULL when it is none, or when i is -1 (*missing stays). */
static Const *
constant_argument(const FuncExpr *call, int i, bool *missing)
{
	Node	   *value;

	if (i < 0)
		return NULL;
	value = eval_const_expressions(NULL, list_nth(call->args, i));
	if (IsA(value, Const) && !((Const *) value)->constisnull)
		return (Const *) value;
	*missing = true;
	return NULL;
}

/* deltaflow.window_end(start, width [, zone]) over a Var of the start. */
static Expr *
end_expression(Oid time_type, Const *width, Const *zone)
{
	List	   *args = list_make2(makeVar(1, 1, time_type, -1, InvalidOid, 0), width);
	Oid			types[3] = {time_type, width->consttype, TEXTOID};
	Oid			function;

	if (zone != NULL)
		args = lappend(args, zone);
	function = LookupFuncName(list_make2(makeString("deltaflow"), makeString("window_end")),
							  list_length(args), types, false);
	return (Expr *) makeFuncExpr(function, time_type, args, InvalidOid,
								 width->constcollid, COERCE_EXPLICIT_CALL);
}

bool
window_recognise(Expr *key, WindowSpec *window)
{
	FuncExpr   *call = (FuncExpr *) key;

	if (!IsA(key, FuncExpr))
		return false;
	for (int i = 0; i < lengthof(window_functions); i++)
	{
		bool		missing = false;
		Const	   *width,
				   *zone;

		if (call->funcid != window_functions[i].function)
			continue;

		width = constant_argument(call, window_functions[i].width, &missing);
		zone = constant_argument(call, window_functions[i].zone, &missing);
		(void) constant_argument(call, window_functions[i].origin, &missing);
		if (missing ||
			(width->consttype == TEXTOID && unit_length(TextDatumGetCString(width->constvalue)) == NULL))
			return false;

		window->kind = WINDOW_TUMBLING;
		window->time = list_nth(call->args, window_functions[i].time);
		window->time_type = window_functions[i].time_type;
		window->end = end_expression(window->time_type, width, zone);
		return true;
	}
	return false;
}

/* ---- evaluation ---- */

typedef struct ReplaceContext
{
	Expr	   *what;
	Expr	   *with;
} ReplaceContext;

/* Replaces every subexpression equal to context->what. */
static Node *
replace_mutator(Node *node, void *arg)
{
	ReplaceContext *context = arg;

	if (node == NULL)
		return NULL;
	if (equal(node, context->what))
		return copyObject((Node *) context->with);
	return expression_tree_mutator(node, replace_mutator, arg);
}

/* The value of an expression over the window's time type, with a time in a part's place. */
static Timestamp
evaluate_with(const ViewSpec *spec, Expr *expression, Expr *part, Timestamp time)
{
	ReplaceContext context = {
		part, (Expr *) makeConst(spec->window.time_type, -1, InvalidOid, sizeof(Timestamp), TimestampGetDatum(time), false, true)
	};
	Node	   *replaced = replace_mutator((Node *) expression, &context);
	EState	   *estate = CreateExecutorState();
	ExprState  *state;
	bool		isnull;
	Datum		value;

	if (contain_var_clause(replaced))
		elog(ERROR, "window of a view does not follow from its time");
	state = ExecPrepareExpr((Expr *) replaced, estate);
	value = ExecEvalExprSwitchContext(state, GetPerTupleExprContext(estate), &isnull);
	FreeExecutorState(estate);
	if (isnull)
		elog(ERROR, "window of a view is null");
	return DatumGetTimestamp(value);
}

Timestamp
window_start_at(const ViewSpec *spec, Timestamp time)
{
	TargetEntry *key = list_nth_node(TargetEntry, spec->input_tlist, spec->keys[spec->window.key].input);

	/* constants in the time are folded in the column, as in all that is computed per row */
	return evaluate_with(spec, key->expr, expression_planner((Expr *) copyObject(spec->window.time)), time);
}

/* Whether windows are those of a zone's calendar, whose clocks may be set back over midnight. */
static bool
follows_clocks(const ViewSpec *spec)
{
	TargetEntry *key;
	Oid			function;

	if (spec->window.kind != WINDOW_TUMBLING)
		return false;
	key = list_nth_node(TargetEntry, spec->input_tlist, spec->keys[spec->window.key].input);
	if (!IsA(key->expr, FuncExpr))
		return false;
	function = ((FuncExpr *) key->expr)->funcid;
	return function == F_DATE_TRUNC_TEXT_TIMESTAMPTZ || function == F_DATE_TRUNC_TEXT_TIMESTAMPTZ_TEXT;
}

Timestamp
window_first_time(const ViewSpec *spec, Timestamp start)
{
	Timestamp	before = start - 2 * USECS_PER_DAY; /* clocks are set back by a day at most */
	Timestamp	first = start;

	/* no clock was set before our era, and nothing is computed near the calendar's begin */
	if (!follows_clocks(spec) || TIMESTAMP_NOT_FINITE(start) || start < -2000 * 366 * USECS_PER_DAY ||
		window_start_at(spec, start - 1) < start)
		return start;
	while (first - before > 1)
	{
		Timestamp	middle = before + (first - before) / 2;

		if (window_start_at(spec, middle) < start)
			before = middle;
		else
			first = middle;
	}
	return first;
}

bool
window_ending_after(const ViewSpec *spec, Timestamp time, WindowBounds *window)
{
	WindowCursor cursor;

	if (TIMESTAMP_NOT_FINITE(time))
		return false;
	if (spec->window.kind == WINDOW_PANES)
	{
		window_cursor_begin(&cursor, &spec->window.panes.shape, time);
		return window_cursor_next(&cursor, window);
	}
	if (spec->window.kind != WINDOW_TUMBLING)
		return false;
	window->start = window_start_at(spec, time);
	window->end = evaluate_with(spec, spec->window.end,
								(Expr *) makeVar(1, 1, spec->window.time_type, -1, InvalidOid, 0), window->start);
	return true;
}
