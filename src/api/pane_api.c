/*
 * pane_api.c
 *		SQL functions of views that are kept by pane: panes of a row, windows of panes,
 *		merging states.  Thin entry points into src/window and src/maintain.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/window_api.h"
#include "compat.h"
#include "maintain/merge.h"
#include "view/pane_bound.h"
#include "window/pane.h"
#include "window/span.h"

PG_FUNCTION_INFO_V1(deltaflow_pane_start);
PG_FUNCTION_INFO_V1(deltaflow_has_window);
PG_FUNCTION_INFO_V1(deltaflow_pane_shift);
PG_FUNCTION_INFO_V1(deltaflow_panes_bound);
PG_FUNCTION_INFO_V1(deltaflow_panes_from_support);
PG_FUNCTION_INFO_V1(deltaflow_panes_upto_support);
PG_FUNCTION_INFO_V1(deltaflow_hop_windows);
PG_FUNCTION_INFO_V1(deltaflow_cumulate_windows);
PG_FUNCTION_INFO_V1(deltaflow_merge_float_sum_step);
PG_FUNCTION_INFO_V1(deltaflow_merge_float_sum_final);
PG_FUNCTION_INFO_V1(deltaflow_merge_state_step);
PG_FUNCTION_INFO_V1(deltaflow_merge_state_final);

/* The shape of windows from SQL arguments, which create_view has looked at before. */
static WindowShape
shape_of(WindowShapeKind kind, const Interval *step, const Interval *size, Timestamp origin)
{
	WindowShape shape;

	window_check_accepted(window_shape_make(kind, step, size, origin, &shape));
	return shape;
}

/* pane_start(width, ts, origin) */
PGDLLEXPORT Datum
deltaflow_pane_start(PG_FUNCTION_ARGS)
{
	WindowShape shape = shape_of(SHAPE_HOP, PG_GETARG_INTERVAL_P(0), PG_GETARG_INTERVAL_P(0), PG_GETARG_TIMESTAMP(2));

	PG_RETURN_TIMESTAMP(pane_of(&shape, PG_GETARG_TIMESTAMP(1)));
}

/* has_window(ts, slide, size, origin) */
PGDLLEXPORT Datum
deltaflow_has_window(PG_FUNCTION_ARGS)
{
	WindowShape shape = shape_of(SHAPE_HOP, PG_GETARG_INTERVAL_P(1), PG_GETARG_INTERVAL_P(2), PG_GETARG_TIMESTAMP(3));
	WindowCursor cursor;
	WindowBounds window;

	window_cursor_begin(&cursor, &shape, PG_GETARG_TIMESTAMP(0));
	PG_RETURN_BOOL(window_cursor_next(&cursor, &window));
}

/*
 * pane_shift(ts, length): how far panes of windows that end, or begin, there may lie;
 * beyond the calendar windows are cut, so an infinite ts stands for its end.
 */
PGDLLEXPORT Datum
deltaflow_pane_shift(PG_FUNCTION_ARGS)
{
	Timestamp	time = PG_GETARG_TIMESTAMP(0);
	int64		length = PG_GETARG_INTERVAL_P(1)->time;

	if (length < 0 && TIMESTAMP_IS_NOEND(time))
		time = END_TIMESTAMP - 1;
	else if (length > 0 && TIMESTAMP_IS_NOBEGIN(time))
		time = MIN_TIMESTAMP;
	PG_RETURN_TIMESTAMP(time_plus(time, length));
}

/* panes_from(unbounded, size), panes_upto(unbounded, size): no bound was found when the query was planned */
PGDLLEXPORT Datum
deltaflow_panes_bound(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMP(PG_GETARG_TIMESTAMP(0));
}

/* Answers the planner. */
static Datum
simplify_bound(FunctionCallInfo fcinfo, bool lower)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (!IsA(request, SupportRequestSimplify))
		PG_RETURN_POINTER(NULL);
	PG_RETURN_POINTER(pane_bound_simplify((SupportRequestSimplify *) request, lower));
}

PGDLLEXPORT Datum
deltaflow_panes_from_support(PG_FUNCTION_ARGS)
{
	return simplify_bound(fcinfo, true);
}

PGDLLEXPORT Datum
deltaflow_panes_upto_support(PG_FUNCTION_ARGS)
{
	return simplify_bound(fcinfo, false);
}

/* The windows of a pane that the pane before it had not: (pane, before, step, size, origin). */
static Datum
windows_of_pane(FunctionCallInfo fcinfo, WindowShapeKind kind)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WindowShape shape;
	WindowStream stream;
	WindowBounds window;

	window_result_begin(result);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2) || PG_ARGISNULL(3) || PG_ARGISNULL(4))
		return (Datum) 0;
	shape = shape_of(kind, PG_GETARG_INTERVAL_P(2), PG_GETARG_INTERVAL_P(3), PG_GETARG_TIMESTAMP(4));
	window_stream_begin(&stream, &shape);
	if (!PG_ARGISNULL(1))
	{
		window_stream_pane(&stream, PG_GETARG_TIMESTAMP(1));
		while (window_stream_next(&stream, &window))
			;
	}
	window_stream_pane(&stream, PG_GETARG_TIMESTAMP(0));
	while (window_stream_next(&stream, &window))
	{
		Datum		values[4];
		bool		isnull[4] = {false};
		int64		first;
		int64		last;

		window_panes(window, &first, &last);
		values[0] = TimestampGetDatum(window.start);
		values[1] = TimestampGetDatum(window.end);
		values[2] = TimestampGetDatum(first);
		values[3] = TimestampGetDatum(last);
		tuplestore_putvalues(result->setResult, result->setDesc, values, isnull);
	}
	return (Datum) 0;
}

PGDLLEXPORT Datum
deltaflow_hop_windows(PG_FUNCTION_ARGS)
{
	return windows_of_pane(fcinfo, SHAPE_HOP);
}

PGDLLEXPORT Datum
deltaflow_cumulate_windows(PG_FUNCTION_ARGS)
{
	return windows_of_pane(fcinfo, SHAPE_CUMULATE);
}

/* ---- merging ---- */

/* The memory of the aggregate that calls. */
static MemoryContext
aggregate_memory(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	return context;
}

/* merge_float_sum(float8[]): one more */
PGDLLEXPORT Datum
deltaflow_merge_float_sum_step(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_memory(fcinfo);
	FloatSum   *sum = PG_ARGISNULL(0) ? NULL : (FloatSum *) PG_GETARG_POINTER(0);

	if (PG_ARGISNULL(1))
	{
		if (sum == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(sum);
	}
	if (sum == NULL)
		sum = MemoryContextAllocZero(context, sizeof(FloatSum));
	float_array_add(sum, PG_GETARG_DATUM(1), context);
	PG_RETURN_POINTER(sum);
}

/* merge_float_sum(float8[]): the result */
PGDLLEXPORT Datum
deltaflow_merge_float_sum_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(float_array_of((FloatSum *) PG_GETARG_POINTER(0)));
}

/* What merges states of the aggregate named in argument 1, stored as argument 2 is. */
static StateMerger *
merger_of_call(FunctionCallInfo fcinfo)
{
	StateMerger *merger = fcinfo->flinfo->fn_extra;

	if (merger == NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		merger = state_merger_create(PG_GETARG_OID(1), get_fn_expr_argtype(fcinfo->flinfo, 2));
		fcinfo->flinfo->fn_extra = merger;
		MemoryContextSwitchTo(before);
	}
	return merger;
}

/* What merge_state has in hand. */
typedef struct MergeCall
{
	Oid			aggregate;
	MergedState merged;
} MergeCall;

/* merge_state(aggregate regprocedure, state anyelement): one more */
PGDLLEXPORT Datum
deltaflow_merge_state_step(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_memory(fcinfo);
	MergeCall  *call = PG_ARGISNULL(0) ? NULL : (MergeCall *) PG_GETARG_POINTER(0);
	StateMerger *merger;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (call == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(call);
	}
	merger = merger_of_call(fcinfo);
	if (PG_GETARG_OID(1) != state_merger_aggregate(merger))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("states of different aggregates cannot be merged")));
	if (call == NULL)
	{
		call = MemoryContextAllocZero(context, sizeof(MergeCall));
		call->aggregate = PG_GETARG_OID(1);
	}
	state_merger_add(merger, &call->merged, PG_GETARG_DATUM(2), PG_GET_COLLATION(), fcinfo->context, context);
	PG_RETURN_POINTER(call);
}

/* merge_state(aggregate regprocedure, state anyelement): the result */
PGDLLEXPORT Datum
deltaflow_merge_state_final(PG_FUNCTION_ARGS)
{
	StateMerger *merger = fcinfo->flinfo->fn_extra;
	MergeCall  *call;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	call = (MergeCall *) PG_GETARG_POINTER(0);
	if (merger == NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		/* arguments of an aggregate's final function are NULL but for their types */
		merger = state_merger_create(call->aggregate, get_fn_expr_argtype(fcinfo->flinfo, 2));
		fcinfo->flinfo->fn_extra = merger;
		MemoryContextSwitchTo(before);
	}
	PG_RETURN_DATUM(state_merger_result(merger, &call->merged, PG_GET_COLLATION(), fcinfo->context));
}
