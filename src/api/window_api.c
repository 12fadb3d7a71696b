/*
 * window_api.c
 *		Windows as SQL functions: thin entry points into src/window.
 *
 *		window_end		where a window of date_bin ends
 *		hop, cumulate	set-returning: the windows of a time, into a tuplestore
 *		session			a window function: the session's range for each row
 *
 * A session's end is not known before its last row is seen, so at its first row the
 * function reads ahead to the first row that does not belong to it.  The session's
 * other rows get the same range without reading: each row of a partition is read once.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"
#include "windowapi.h"

#include "api/window_api.h"
#include "compat.h"
#include "window/pane.h"
#include "window/session.h"
#include "window/span.h"

PG_FUNCTION_INFO_V1(deltaflow_window_end_bin);
PG_FUNCTION_INFO_V1(deltaflow_hop);
PG_FUNCTION_INFO_V1(deltaflow_cumulate);
PG_FUNCTION_INFO_V1(deltaflow_hop_support);
PG_FUNCTION_INFO_V1(deltaflow_cumulate_support);
PG_FUNCTION_INFO_V1(deltaflow_session_tstz);
PG_FUNCTION_INFO_V1(deltaflow_session_ts);
PG_FUNCTION_INFO_V1(deltaflow_session_range_tstz);
PG_FUNCTION_INFO_V1(deltaflow_session_range_ts);

/* Room for a range of two timestamps: header, type, bounds, flags. */
#define RANGE_BYTES 32

/* What a partition of session() remembers. */
typedef struct SessionState
{
	/* from the partition's first row */
	bool		has_gap;
	Interval	interval;
	int64		gap;

	/* the session at hand, if any */
	bool		has_span;
	SessionSpan span;
	int64		read;			/* rows of the partition that were read */
	char		range[RANGE_BYTES] pg_attribute_aligned(MAXIMUM_ALIGNOF);
} SessionState;

void
window_check_accepted(WindowRefusal refusal)
{
	const WindowRefusalText *text = window_refusal_text(refusal.code);

	if (refusal.code == WINDOW_ACCEPTED)
		return;
	ereport(ERROR,
			(errcode(text->sqlstate),
			 errmsg(text->message, refusal.argument),
			 text->detail ? errdetail("%s", text->detail) : 0,
			 text->hint ? errhint("%s", text->hint) : 0));
}

/* ---- tumbling ---- */

/* window_end(start, stride) */
PGDLLEXPORT Datum
deltaflow_window_end_bin(PG_FUNCTION_ARGS)
{
	int64		length;

	window_check_accepted(window_length(PG_GETARG_INTERVAL_P(1), "stride", &length));
	PG_RETURN_TIMESTAMP(time_plus(PG_GETARG_TIMESTAMP(0), length));
}

/* ---- hop and cumulate ---- */

void
window_result_begin(ReturnSetInfo *result)
{
	MemoryContext before;

	if (result == NULL || !IsA(result, ReturnSetInfo) || !(result->allowedModes & SFRM_Materialize) ||
		result->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-valued function called in context that cannot accept a set")));
	before = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->returnMode = SFRM_Materialize;
	result->setDesc = CreateTupleDescCopy(result->expectedDesc);
	result->setResult = tuplestore_begin_heap(result->allowedModes & SFRM_Materialize_Random, false, work_mem);
	MemoryContextSwitchTo(before);
}

/* The windows of a time: (time, step, size, origin). */
static Datum
windows_of_time(FunctionCallInfo fcinfo, WindowShapeKind kind)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WindowShape shape;
	WindowCursor cursor;
	WindowBounds window;
	bool		isnull[2] = {false, false};

	window_check_accepted(window_shape_make(kind, PG_GETARG_INTERVAL_P(1), PG_GETARG_INTERVAL_P(2),
											PG_GETARG_TIMESTAMP(3), &shape));
	window_result_begin(result);
	window_cursor_begin(&cursor, &shape, PG_GETARG_TIMESTAMP(0));
	while (window_cursor_next(&cursor, &window))
	{
		Datum		values[2] = {TimestampGetDatum(window.start), TimestampGetDatum(window.end)};

		tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
	}
	return (Datum) 0;
}

/* hop(ts, slide, size, origin) */
PGDLLEXPORT Datum
deltaflow_hop(PG_FUNCTION_ARGS)
{
	return windows_of_time(fcinfo, SHAPE_HOP);
}

/* cumulate(ts, step, size, origin) */
PGDLLEXPORT Datum
deltaflow_cumulate(PG_FUNCTION_ARGS)
{
	return windows_of_time(fcinfo, SHAPE_CUMULATE);
}

/* An interval argument as far as the planner knows it; false: not now. */
static bool
planned_interval(PlannerInfo *root, const FuncExpr *call, int i, Interval *interval)
{
	Const	   *value = (Const *) estimate_expression_value(root, list_nth(call->args, i));

	if (!IsA(value, Const) || value->constisnull || value->consttype != INTERVALOID)
		return false;
	*interval = *DatumGetIntervalP(value->constvalue);
	return true;
}

/* How many windows a time has on average: for the planner. */
static Datum
estimate_windows(SupportRequestRows *request, WindowShapeKind kind)
{
	const FuncExpr *call = (const FuncExpr *) request->node;
	Interval	step;
	Interval	size;
	WindowShape shape;

	if (!IsA(request, SupportRequestRows) || !is_funcclause(request->node) ||
		!planned_interval(request->root, call, 1, &step) ||
		!planned_interval(request->root, call, 2, &size) ||
		window_shape_make(kind, &step, &size, 0, &shape).code != WINDOW_ACCEPTED)
		PG_RETURN_POINTER(NULL);
	request->rows = window_shape_average(&shape);
	PG_RETURN_POINTER(request);
}

/* planner support of hop */
PGDLLEXPORT Datum
deltaflow_hop_support(PG_FUNCTION_ARGS)
{
	return estimate_windows((SupportRequestRows *) PG_GETARG_POINTER(0), SHAPE_HOP);
}

/* planner support of cumulate */
PGDLLEXPORT Datum
deltaflow_cumulate_support(PG_FUNCTION_ARGS)
{
	return estimate_windows((SupportRequestRows *) PG_GETARG_POINTER(0), SHAPE_CUMULATE);
}

/* ---- session ---- */

/* The range of a session. */
static RangeType *
session_range(FunctionCallInfo fcinfo, Oid range_type, SessionSpan span, int64 gap)
{
	bool		inclusive;
	Datum		end = TimestampGetDatum(session_end(span, gap, &inclusive));
	RangeBound	lower = {.val = TimestampGetDatum(span.first), .inclusive = true, .lower = true};
	RangeBound	upper = {.val = end, .inclusive = inclusive};

	return make_range(range_get_typcache(fcinfo, range_type), &lower, &upper, false, NULL);
}

/* Takes note of the gap: the same in all rows of a partition.  False: it is null. */
static bool
take_gap(WindowObject window, SessionState *state)
{
	bool		isnull;
	Datum		value = WinGetFuncArgCurrent(window, 1, &isnull);
	const Interval *interval = DatumGetIntervalP(value);

	if (isnull)
		return false;
	if (!state->has_gap)
	{
		window_check_accepted(session_gap(interval, &state->gap));
		state->interval = *interval;
		state->has_gap = true;
	}
	else if (memcmp(interval, &state->interval, sizeof(Interval)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("gap of sessions must not change within a partition"),
				 errhint("Add what the gap depends on to PARTITION BY.")));
	return true;
}

/* Rows must come as the sessions do. */
static void
check_order(int64 before, int64 time)
{
	if (time < before)
		ereport(ERROR,
				(errcode(ERRCODE_WINDOWING_ERROR),
				 errmsg("rows for deltaflow.session() are not in ascending order of their time"),
				 errdetail("A session is found by the pauses between rows that follow each other."),
				 errhint("Write deltaflow.session(ts, gap) OVER (PARTITION BY ... ORDER BY ts), with the same ts in both places.")));
}

/* Reads ahead until a row does not continue the session that the current row begins. */
static void
read_session(WindowObject window, SessionState *state)
{
	state->read = Max(state->read, WinGetCurrentPosition(window) + 1);
	for (;;)
	{
		bool		isnull;
		bool		isout;
		Datum		value = WinGetFuncArgInPartition(window, 0, state->read, WINDOW_SEEK_HEAD,
													 true, &isnull, &isout);

		if (isout)
			return;
		state->read++;
		if (isnull)
			continue;
		check_order(state->span.last, DatumGetTimestamp(value));
		if (!session_continues(state->span.last, DatumGetTimestamp(value), state->gap))
			return;
		state->span.last = DatumGetTimestamp(value);
	}
}

/* The session of the current row: (time, gap) OVER (... ORDER BY time). */
static Datum
session_of_row(FunctionCallInfo fcinfo, Oid range_type)
{
	WindowObject window = PG_WINDOW_OBJECT();
	SessionState *state = WinGetPartitionLocalMemory(window, sizeof(SessionState));
	bool		isnull;
	int64		time = DatumGetTimestamp(WinGetFuncArgCurrent(window, 0, &isnull));
	RangeType  *range;

	if (isnull || !take_gap(window, state))
		PG_RETURN_NULL();
	if (state->has_span)
		check_order(state->span.first, time);
	if (!state->has_span || time > state->span.last)
	{
		state->has_span = true;
		state->span = (SessionSpan) {time, time};
		read_session(window, state);
		range = session_range(fcinfo, range_type, state->span, state->gap);
		Assert(VARSIZE(range) <= RANGE_BYTES);
		memcpy(state->range, range, VARSIZE(range));
	}
	PG_RETURN_RANGE_P((RangeType *) state->range);
}

/* session(ts timestamptz, gap) */
PGDLLEXPORT Datum
deltaflow_session_tstz(PG_FUNCTION_ARGS)
{
	return session_of_row(fcinfo, TSTZRANGEOID);
}

/* session(ts timestamp, gap) */
PGDLLEXPORT Datum
deltaflow_session_ts(PG_FUNCTION_ARGS)
{
	return session_of_row(fcinfo, TSRANGEOID);
}

/* The range of the session whose rows go from first to last: (first, last, gap). */
static Datum
range_of_span(FunctionCallInfo fcinfo, Oid range_type)
{
	SessionSpan span = {PG_GETARG_TIMESTAMP(0), PG_GETARG_TIMESTAMP(1)};
	int64		gap;

	window_check_accepted(session_gap(PG_GETARG_INTERVAL_P(2), &gap));
	PG_RETURN_RANGE_P(session_range(fcinfo, range_type, span, gap));
}

/* session_range(first timestamptz, last timestamptz, gap) */
PGDLLEXPORT Datum
deltaflow_session_range_tstz(PG_FUNCTION_ARGS)
{
	return range_of_span(fcinfo, TSTZRANGEOID);
}

/* session_range(first timestamp, last timestamp, gap) */
PGDLLEXPORT Datum
deltaflow_session_range_ts(PG_FUNCTION_ARGS)
{
	return range_of_span(fcinfo, TSRANGEOID);
}
