/*
 * range.c
 *		A range of event time, as a condition over the source and over a view's rows.
 *
 * What comes in: since and until as instants, and a view's spec.  What goes out:
 * `time >= since AND time < until` over the source's columns, for the definition
 * to be run over just that range, and `start >= since AND start < until` over the
 * rows it makes, for just those to be replaced.
 *
 * The invariant: both conditions cut at the same windows.  So the bounds must lie
 * on window borders; range_check() evaluates the definition's own window
 * expression at the bound and demands to get the bound back.
 *
 *		   since                              until
 *			 |--window--|--window--|--window--|
 *
 * Windows that overlap have no such borders; their panes have.  A range of rows is cut
 * at panes, and touches windows that begin before it; a range of windows (those that
 * begin in it) needs rows from behind it.
 *
 * Sessions have no borders that a range could be cut at.  A range of sessions (those
 * that begin in it) needs rows from one gap before it, to know that they begin, and
 * all that follow, to know where they end.
 *
 * Views over timestamp (without time zone) compare in local time: bounds are
 * converted under the view's pinned TimeZone, which the caller has set.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "batch/range.h"
#include "compat.h"
#include "view/session_window.h"
#include "view/window_key.h"
#include "view/window_output.h"
#include "window/span.h"

Timestamp
range_bound(const ViewSpec *spec, TimestampTz bound)
{
	if (spec->window.time_type != TIMESTAMPOID)
		return bound;
	return DatumGetTimestamp(DirectFunctionCall1(timestamptz_timestamp, TimestampTzGetDatum(bound)));
}

/* The bound as a constant of the view's time type. */
static Const *
bound_const(const ViewSpec *spec, TimestampTz bound)
{
	return makeConst(spec->window.time_type, -1, InvalidOid, sizeof(TimestampTz),
					 TimestampGetDatum(range_bound(spec, bound)), false, true);
}

/* The start of the pane that holds the bound; of the cycle, where windows are cumulative. */
static TimestampTz
pane_start_of(const ViewSpec *spec, TimestampTz bound)
{
	WindowShape grid = spec->window.panes.shape;
	Timestamp	start;

	if (grid.kind == SHAPE_CUMULATE)
		grid.pane = grid.size;
	start = pane_of(&grid, range_bound(spec, bound));
	if (spec->window.time_type == TIMESTAMPOID)
		return DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, TimestampGetDatum(start)));
	return start;
}

/* The start of the window that holds the bound, by the definition's own expression. */
static TimestampTz
window_start_of(const ViewSpec *spec, TimestampTz bound)
{
	Timestamp	start = window_start_at(spec, range_bound(spec, bound));

	if (spec->window.time_type == TIMESTAMPOID)
		return DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, TimestampGetDatum(start)));
	return start;
}

/* ERROR unless the bound is a window's border. */
static void
check_border(const ViewSpec *spec, TimestampTz bound, const char *which)
{
	bool		panes = spec->window.kind == WINDOW_PANES;
	bool		cycles = panes && spec->window.panes.shape.kind == SHAPE_CUMULATE;
	const char *what = cycles ? "cycle of windows" : panes ? "pane" : "window";
	TimestampTz start = panes ? pane_start_of(spec, bound) : window_start_of(spec, bound);

	if (start == bound)
		return;
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("\"%s\" is not the border of a %s", which, what),
			errdetail("%s lies in the %s that begins at %s, and a %s is replaced as a whole.",
					  pstrdup(timestamptz_to_str(bound)), what, pstrdup(timestamptz_to_str(start)), what),
			errhint("Give \"%s\" as the start of a %s.", which, what));
}

void
range_check(const ViewSpec *spec, const TimeRange *range)
{
	if (!range->has_since && !range->has_until)
		return;
	if (range->has_since && range->has_until && range->since > range->until)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"since\" must not be after \"until\""));
	if ((range->has_since && TIMESTAMP_NOT_FINITE(range->since)) ||
		(range->has_until && TIMESTAMP_NOT_FINITE(range->until)))
		ereport(ERROR,
				errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				errmsg("bounds of a range must be finite"),
				errhint("Give null for a bound that is open."));
	if (spec->window.kind == WINDOW_NONE)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("a range of event time needs a view with windows"),
				errdetail("The definition does not group by date_bin or date_trunc, so no part of its rows belongs to a range."),
				errhint("Give null for since and until to take everything."));
	if (range->has_since)
		check_border(spec, range->since, "since");
	if (range->has_until)
		check_border(spec, range->until, "until");
}

/* time <operator of the strategy> bound */
static Expr *
comparison(const ViewSpec *spec, Expr *time, int strategy, TimestampTz bound)
{
	Oid			type = spec->window.time_type;
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);
	Oid			operator = get_opfamily_member(entry->btree_opf, type, type, strategy);
	Expr	   *clause = make_opclause(operator, BOOLOID, false,
									   copyObject(time),
									   (Expr *) bound_const(spec, bound),
									   InvalidOid, InvalidOid);

	set_opfuncid((OpExpr *) clause);
	return clause;
}

/* since <= time AND time < until */
static List *
range_of_time(const ViewSpec *spec, Expr *time, const TimeRange *range)
{
	List	   *clauses = NIL;

	if (range->has_since)
		clauses = lappend(clauses, comparison(spec, time, BTGreaterEqualStrategyNumber, range->since));
	if (range->has_until)
		clauses = lappend(clauses, comparison(spec, time, BTLessStrategyNumber, range->until));
	return clauses;
}

/* The times of the rows whose windows begin in the range. */
static TimeRange
first_times(const ViewSpec *spec, const TimeRange *range)
{
	TimeRange	times = *range;

	if (times.has_since)
		times.since = window_first_time(spec, times.since);
	if (times.has_until)
		times.until = window_first_time(spec, times.until);
	return times;
}

/*
 * The range of a row's event time.  One that is computed is looked at only where the
 * definition's WHERE is true: behind it the definition computes it, and in other rows it may fail.
 */
static List *
range_of_rows(const ViewSpec *spec, const TimeRange *range)
{
	TimeRange	times = first_times(spec, range);
	List	   *clauses = range_of_time(spec, spec->window.time, &times);
	CaseWhen   *when;
	CaseExpr   *guarded;

	if (clauses == NIL || spec->where == NULL || IsA(spec->window.time, Var))
		return clauses;
	when = makeNode(CaseWhen);
	when->expr = copyObject(spec->where);
	when->result = (Expr *) make_ands_explicit(clauses);
	when->location = -1;
	guarded = makeNode(CaseExpr);
	guarded->casetype = BOOLOID;
	guarded->args = list_make1(when);
	guarded->defresult = (Expr *) makeBoolConst(false, false);
	guarded->location = -1;
	return list_make1(guarded);
}

Expr *
range_over_source(const ViewSpec *spec, const TimeRange *range)
{
	List	   *clauses = range_of_rows(spec, range);

	return clauses == NIL ? NULL : (Expr *) make_ands_explicit(clauses);
}

/* How much longer than a pane windows are: so much do they reach over a range's borders. */
static int64
overlap(const ViewSpec *spec)
{
	const WindowShape *shape = &spec->window.panes.shape;

	return spec->window.kind == WINDOW_PANES && shape->kind == SHAPE_HOP ? shape->size - shape->pane : 0;
}

List *
range_over_definition(const ViewSpec *spec, const TimeRange *range)
{
	TimeRange	rows = *range;
	Expr	   *start = (Expr *) makeVar(WINDOW_VARNO, 1, spec->window.time_type, -1, InvalidOid, 0);

	if (spec->window.kind == WINDOW_SESSION)
	{
		start = session_window_bound(spec, session_window_var(spec), false);
		rows.has_until = false;
		rows.since = time_plus(rows.since, -spec->window.session.gap);
		return list_concat(range_of_rows(spec, &rows), range_of_time(spec, start, range));
	}
	if (spec->window.kind != WINDOW_PANES)
		return range_of_rows(spec, range);
	if (rows.has_until)
		rows.until = time_plus(rows.until, overlap(spec));
	return list_concat(range_of_rows(spec, &rows), range_of_time(spec, start, range));
}

TimeRange
range_of_windows(const ViewSpec *spec, const TimeRange *range)
{
	TimeRange	windows = *range;

	if (windows.has_since)
		windows.since = time_plus(windows.since, -overlap(spec));
	return windows;
}

/*
 * A time as a quoted SQL literal of timestamptz or timestamp, in ISO format and UTC:
 * it means the same under any DateStyle and TimeZone.
 */
char *
range_literal(Timestamp at, Oid type)
{
	bool		zoned = type != TIMESTAMPOID;
	struct pg_tm tm;
	fsec_t		fsec;
	char		iso[MAXDATELEN + 1];

	if (TIMESTAMP_NOT_FINITE(at))
		EncodeSpecialTimestamp(at, iso);
	else if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				errmsg("timestamp out of range"));
	else
	{
		tm.tm_isdst = 0;		/* else the zone would be left out */
		EncodeDateTime(&tm, fsec, zoned, 0, NULL, USE_ISO_DATES, iso);
	}
	return psprintf("'%s'::pg_catalog.%s", iso, zoned ? "timestamptz" : "timestamp");
}

/* The condition over a SQL expression. */
static char *
range_over_expression(const ViewSpec *spec, const TimeRange *range, const char *expression)
{
	StringInfoData text;
	const char *joint = "WHERE";

	initStringInfo(&text);
	if (range->has_since)
	{
		appendStringInfo(&text, " %s %s OPERATOR(pg_catalog.>=) %s", joint, expression,
						 range_literal(range_bound(spec, range->since), spec->window.time_type));
		joint = "AND";
	}
	if (range->has_until)
		appendStringInfo(&text, " %s %s OPERATOR(pg_catalog.<) %s", joint, expression,
						 range_literal(range_bound(spec, range->until), spec->window.time_type));
	return text.data;
}

char *
range_over_column(const ViewSpec *spec, const TimeRange *range, const char *column)
{
	return range_over_expression(spec, range, quote_identifier(column));
}

/* Windows that begin in the range, told by where they end. */
static char *
range_over_end(const ViewSpec *spec, const TimeRange *range, const char *end)
{
	const WindowShape *shape = &spec->window.panes.shape;
	TimeRange	ends = *range;

	/* cumulative windows end behind the first border and at the second; a microsecond is the least there is */
	ends.since = time_plus(ends.since, shape->kind == SHAPE_HOP ? shape->size : 1);
	ends.until = time_plus(ends.until, shape->kind == SHAPE_HOP ? shape->size : 1);
	return range_over_expression(spec, &ends, end);
}

char *
range_over_output(const ViewSpec *spec, const TimeRange *range)
{
	char	   *shown = window_output(spec, NULL, false);

	if (shown != NULL)
		return range_over_expression(spec, range, shown);
	if (spec->window.kind != WINDOW_PANES)
		return NULL;
	shown = window_output(spec, NULL, true);
	return shown == NULL ? NULL : range_over_end(spec, range, shown);
}

/* The horizon as an instant. */
static TimestampTz
horizon_instant(const ViewSpec *spec, Timestamp horizon)
{
	if (spec->window.time_type != TIMESTAMPOID)
		return horizon;
	return DatumGetTimestampTz(DirectFunctionCall1(timestamp_timestamptz, TimestampGetDatum(horizon)));
}

bool
range_limit_kept(const ViewSpec *spec, Timestamp horizon, TimeRange *range)
{
	TimestampTz kept;

	if (TIMESTAMP_IS_NOBEGIN(horizon))
		return true;
	kept = horizon_instant(spec, horizon);
	if (!range->has_since || range->since < kept)
		range->since = kept;
	range->has_since = true;
	return !range->has_until || range->since <= range->until;
}

char *
range_over_kept_output(const ViewSpec *spec, Timestamp horizon, TimeRange *range)
{
	char	   *shown;
	char	   *condition;

	if (spec->window.kind != WINDOW_SESSION || TIMESTAMP_IS_NOBEGIN(horizon))
	{
		if (!range_limit_kept(spec, horizon, range))
			return NULL;
		condition = range_over_output(spec, range);
		return condition == NULL ? pstrdup("") : condition;
	}
	condition = range_over_output(spec, range);
	shown = window_output(spec, NULL, true);
	if (condition == NULL)
		return pstrdup("");
	/* where the end is not shown, those that begin behind the horizon; rows without a time are of no session that ends */
	return psprintf("%s %s (%s OPERATOR(pg_catalog.%s) %s) IS NOT FALSE", condition, *condition == '\0' ? "WHERE" : "AND",
					shown != NULL ? shown : window_output(spec, NULL, false), shown != NULL ? ">" : ">=",
					range_literal(horizon, spec->window.time_type));
}

void
range_check_kept(const ViewSpec *spec, Timestamp horizon, TimeRange *range)
{
	TimestampTz kept = horizon_instant(spec, horizon);
	bool		sessions = spec->window.kind == WINDOW_SESSION;

	if (!TIMESTAMP_IS_NOBEGIN(horizon) &&
		((range->has_since && range->since < kept) || (range->has_until && range->until < kept)))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				sessions ? errmsg("sessions that end before %s are not kept any more", timestamptz_to_str(kept)) :
				errmsg("windows that begin before %s are not kept any more", timestamptz_to_str(kept)),
				errdetail("The view's option retain has removed them."),
				errhint("Give that time as \"since\", or run the definition into a table with deltaflow.run."));
	(void) range_limit_kept(spec, horizon, range);
}
