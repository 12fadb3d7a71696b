/*
 * fold_float.c
 *		sum, avg and the variance family over float4 and float8, summed exactly.
 *
 * Memory: parts of a sum stand in the group; a sum that had to be widened has its
 * wide integer in the aggregate's context.
 *
 * The square of x is added as two doubles, x*x rounded and the error of that, so
 * it is exact unless it is out of a double's range: above, it is an Infinity, which
 * no later square can take back; far below 1 (|x| < 2^-485) its last bits are lost.
 * Both depend on x alone, never on the order of rows.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/memutils.h"

#include "compat.h"
#include "maintain/aggregate_state.h"
#include "maintain/merge.h"

typedef struct FloatState
{
	int64		n;
	FloatSum	sum;
} FloatState;

typedef struct FloatVarianceState
{
	int64		n;
	FloatSum	sum;
	FloatSum	squares;
} FloatVarianceState;

/* Makes room for any input. */
static void
widen(Aggregate *aggregate, FloatSum *sum)
{
	float_sum_widen(sum, MemoryContextAlloc(aggregate->context, sizeof(WideSum)));
}

/* Adds any double. */
static inline void
add(Aggregate *aggregate, FloatSum *sum, double x)
{
	if (unlikely(!float_sum_add(sum, x)))
	{
		widen(aggregate, sum);
		(void) float_sum_add(sum, x);
	}
}

/* Adds x * x. */
static void
add_square(Aggregate *aggregate, FloatSum *sum, double x)
{
	double		square = x * x;

	if (isfinite(square))
		add(aggregate, sum, fma(x, x, -square));
	add(aggregate, sum, square);
}

/* An argument of either width; float4 widens exactly. */
static inline double
float_argument(const Aggregate *aggregate, Datum value)
{
	return aggregate->argtype == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value);
}

/* Adds a stored float8[]. */
static void
combine_sum(Aggregate *aggregate, FloatSum *sum, Datum value, bool isnull)
{
	if (!isnull)
		float_array_add(sum, value, aggregate->context);
}

/* Makes a float8[] of the canonical form. */
static void
store_sum(const FloatSum *sum, bool none, Datum *value, bool *isnull)
{
	*isnull = none;
	*value = none ? (Datum) 0 : PointerGetDatum(float_array_of(sum));
}

/* Frees the wide integer, if any. */
static inline void
release_sum(FloatSum *sum)
{
	if (sum->wide != NULL)
		pfree(sum->wide);
	sum->wide = NULL;
}

/* sum and avg */
static void
float_step(Aggregate *aggregate, FoldChunk *chunk)
{
	for (int i = 0; i < chunk->nrows; i++)
	{
		FloatState *state = row_state(aggregate, chunk, i);
		Datum		value;

		if (!row_argument(aggregate, chunk, i, &value))
			continue;
		add(aggregate, &state->sum, float_argument(aggregate, value));
		state->n++;
	}
}

/* sum alone: n only tells whether there was any input. */
static void
sum_float_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	FloatState *sum = state;

	sum->n += isnull[0] ? 0 : 1;
	combine_sum(aggregate, &sum->sum, values[0], isnull[0]);
}

/* The sum of nothing is NULL. */
static void
sum_float_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const FloatState *sum = state;

	store_sum(&sum->sum, sum->n == 0, &values[0], &isnull[0]);
}

/* avg: n, sum */
static void
avg_float_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	FloatState *sum = state;

	sum->n += isnull[0] ? 0 : DatumGetInt64(values[0]);
	combine_sum(aggregate, &sum->sum, values[1], isnull[1]);
}

/* The sum of nothing is NULL. */
static void
avg_float_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const FloatState *sum = state;

	values[0] = Int64GetDatum(sum->n);
	isnull[0] = false;
	store_sum(&sum->sum, sum->n == 0, &values[1], &isnull[1]);
}

/* Of sum and avg. */
static void
float_release(Aggregate *aggregate, void *state)
{
	release_sum(&((FloatState *) state)->sum);
}

const AggregateOps fold_sum_float_ops = {
	.size = sizeof(FloatState),
	.step = float_step,
	.combine = sum_float_combine,
	.store = sum_float_store,
	.release = float_release,
};

const AggregateOps fold_avg_float_ops = {
	.size = sizeof(FloatState),
	.step = float_step,
	.combine = avg_float_combine,
	.store = avg_float_store,
	.release = float_release,
};

/* The variance family: n, sum, sum of squares. */
static void
float_variance_step(Aggregate *aggregate, FoldChunk *chunk)
{
	for (int i = 0; i < chunk->nrows; i++)
	{
		FloatVarianceState *state = row_state(aggregate, chunk, i);
		Datum		value;
		double		x;

		if (!row_argument(aggregate, chunk, i, &value))
			continue;
		x = float_argument(aggregate, value);
		add(aggregate, &state->sum, x);
		add_square(aggregate, &state->squares, x);
		state->n++;
	}
}

/* Columns n, sum, sum of squares. */
static void
float_variance_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	FloatVarianceState *variance = state;

	variance->n += isnull[0] ? 0 : DatumGetInt64(values[0]);
	combine_sum(aggregate, &variance->sum, values[1], isnull[1]);
	combine_sum(aggregate, &variance->squares, values[2], isnull[2]);
}

/* The sums of nothing are NULL. */
static void
float_variance_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const FloatVarianceState *variance = state;

	values[0] = Int64GetDatum(variance->n);
	isnull[0] = false;
	store_sum(&variance->sum, variance->n == 0, &values[1], &isnull[1]);
	store_sum(&variance->squares, variance->n == 0, &values[2], &isnull[2]);
}

/* Of the variance family. */
static void
float_variance_release(Aggregate *aggregate, void *state)
{
	release_sum(&((FloatVarianceState *) state)->sum);
	release_sum(&((FloatVarianceState *) state)->squares);
}

const AggregateOps fold_var_float_ops = {
	.size = sizeof(FloatVarianceState),
	.step = float_variance_step,
	.combine = float_variance_combine,
	.store = float_variance_store,
	.release = float_variance_release,
};
