/*
 * draw_api.c
 *		Numbers drawn with characters, for psql: thin entry points into src/stats/bars.c.
 *
 * sparkline is an aggregate: its state is the values in the order they came.  What is
 * drawn with depends on what database and client can show.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "compat.h"
#include "stats/bars.h"

PG_FUNCTION_INFO_V1(deltaflow_sparkline_add);
PG_FUNCTION_INFO_V1(deltaflow_sparkline_draw);
PG_FUNCTION_INFO_V1(deltaflow_bar);

/* The values of a group so far. */
typedef struct SparklineState
{
	int			n;
	int			capacity;
	double	   *values;			/* NaN: a gap */
	bool		has_low;		/* the scale's ends, when they are given */
	bool		has_high;
	double		low;
	double		high;
} SparklineState;

/* Blocks are characters of UTF-8 only. */
static const Brush *
brush_for_client(void)
{
	bool		shows_blocks = GetDatabaseEncoding() == PG_UTF8 && pg_get_client_encoding() == PG_UTF8;

	return shows_blocks ? &brush_blocks : &brush_ascii;
}

/* An empty state, in the memory of the aggregate. */
static SparklineState *
begin_state(MemoryContext context)
{
	SparklineState *state = MemoryContextAllocZero(context, sizeof(SparklineState));

	state->capacity = 64;
	state->values = MemoryContextAlloc(context, state->capacity * sizeof(double));
	return state;
}

/* Transition: (state, value [, low, high]) */
PGDLLEXPORT Datum
deltaflow_sparkline_add(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	SparklineState *state;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	state = PG_ARGISNULL(0) ? begin_state(context) : (SparklineState *) PG_GETARG_POINTER(0);
	if (state->n == state->capacity)
	{
		state->capacity *= 2;
		state->values = repalloc(state->values, state->capacity * sizeof(double));
	}
	state->values[state->n++] = PG_ARGISNULL(1) ? NAN : PG_GETARG_FLOAT8(1);
	if (PG_NARGS() > 2 && !PG_ARGISNULL(2))
	{
		state->has_low = true;
		state->low = PG_GETARG_FLOAT8(2);
	}
	if (PG_NARGS() > 3 && !PG_ARGISNULL(3))
	{
		state->has_high = true;
		state->high = PG_GETARG_FLOAT8(3);
	}
	PG_RETURN_POINTER(state);
}

/* Final: (state) */
PGDLLEXPORT Datum
deltaflow_sparkline_draw(PG_FUNCTION_ARGS)
{
	const SparklineState *state = (const SparklineState *) PG_GETARG_POINTER(0);
	StringInfoData out;
	double		low;
	double		high;

	sparkline_scale(state->values, state->n, &low, &high);
	initStringInfo(&out);
	draw_sparkline(&out, brush_for_client(), state->values, state->n,
				   state->has_low ? state->low : low, state->has_high ? state->high : high);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* bar(value, largest, width) */
PGDLLEXPORT Datum
deltaflow_bar(PG_FUNCTION_ARGS)
{
	int32		width = PG_GETARG_INT32(2);
	StringInfoData out;

	if (width < 1 || width > BAR_WIDTH_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("width of a bar must be between 1 and %d", BAR_WIDTH_MAX)));
	initStringInfo(&out);
	draw_bar(&out, brush_for_client(), PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), width);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
