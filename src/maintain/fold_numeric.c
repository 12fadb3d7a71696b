/*
 * fold_numeric.c
 *		sum and avg over int8 and numeric, and the variance family over exact types:
 *		how many, their sum, the sum of their squares.
 *
 * Everything rests on numeric_sum.c.  Integers are summed in units of 1, numerics
 * in units of 10^-16.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/memutils.h"

#include "compat.h"
#include "maintain/aggregate_state.h"
#include "maintain/image.h"
#include "maintain/numeric_sum.h"

typedef struct NumericState
{
	int64		n;
	NumericSum	sum;
} NumericState;

typedef struct VarianceState
{
	int64		n;
	NumericSum	sum;
	NumericSum	squares;
} VarianceState;

/* The unit of an aggregate's sums. */
static inline int
unit_frac(const Aggregate *aggregate)
{
	return aggregate->argtype == NUMERICOID ? NUMERIC_FRAC : INTEGER_FRAC;
}

/* An integer argument of any width. */
static inline int64
integer_argument(const Aggregate *aggregate, Datum value)
{
	switch (aggregate->argtype)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/* Adds a stored numeric column, NULL being nothing. */
static inline void
combine_sum(Aggregate *aggregate, NumericSum *sum, Datum value, bool isnull)
{
	if (!isnull)
		numeric_sum_add(sum, unit_frac(aggregate), value, aggregate->context);
}

/* Stores a sum as a numeric column. */
static inline void
store_sum(const Aggregate *aggregate, const NumericSum *sum, bool none, Datum *value, bool *isnull)
{
	*isnull = none;
	*value = none ? (Datum) 0 : NumericGetDatum(numeric_sum_result(sum, unit_frac(aggregate)));
}

/* Frees the big part, if any. */
static inline void
release_sum(NumericSum *sum)
{
	if (sum->big != NULL)
		pfree(sum->big);
	sum->big = NULL;
}

/* sum(int8), avg(int8) */
static void
int8_step(Aggregate *aggregate, FoldChunk *chunk)
{
	for (int i = 0; i < chunk->nrows; i++)
	{
		NumericState *state = row_state(aggregate, chunk, i);
		Datum		value;

		if (!row_argument(aggregate, chunk, i, &value))
			continue;
		numeric_sum_add_scaled(&state->sum, INTEGER_FRAC, DatumGetInt64(value), aggregate->context);
		state->n++;
	}
}

/* sum(numeric), avg(numeric) */
static void
numeric_step(Aggregate *aggregate, FoldChunk *chunk)
{
	ImageType	type = {.length = -1};

	for (int i = 0; i < chunk->nrows; i++)
	{
		NumericState *state = row_state(aggregate, chunk, i);
		Datum		value;

		if (!row_argument(aggregate, chunk, i, &value))
			continue;
		numeric_sum_add(&state->sum, NUMERIC_FRAC, image_plain(type, value), aggregate->context);
		state->n++;
	}
}

/* avg: n, sum */
static void
avg_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	NumericState *numeric = state;

	numeric->n += isnull[0] ? 0 : DatumGetInt64(values[0]);
	combine_sum(aggregate, &numeric->sum, values[1], isnull[1]);
}

/* The sum of nothing is NULL. */
static void
avg_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const NumericState *numeric = state;

	values[0] = Int64GetDatum(numeric->n);
	isnull[0] = false;
	store_sum(aggregate, &numeric->sum, numeric->n == 0, &values[1], &isnull[1]);
}

/* sum alone: n only tells whether there was any input. */
static void
sum_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	NumericState *numeric = state;

	numeric->n += isnull[0] ? 0 : 1;
	combine_sum(aggregate, &numeric->sum, values[0], isnull[0]);
}

/* The sum of nothing is NULL. */
static void
sum_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const NumericState *numeric = state;

	store_sum(aggregate, &numeric->sum, numeric->n == 0, &values[0], &isnull[0]);
}

/* Of sum and avg. */
static void
numeric_release(Aggregate *aggregate, void *state)
{
	release_sum(&((NumericState *) state)->sum);
}

const AggregateOps fold_sum_int8_ops = {
	.size = sizeof(NumericState),
	.step = int8_step,
	.combine = sum_combine,
	.store = sum_store,
	.release = numeric_release,
};

const AggregateOps fold_avg_int8_ops = {
	.size = sizeof(NumericState),
	.step = int8_step,
	.combine = avg_combine,
	.store = avg_store,
	.release = numeric_release,
};

const AggregateOps fold_sum_numeric_ops = {
	.size = sizeof(NumericState),
	.step = numeric_step,
	.combine = sum_combine,
	.store = sum_store,
	.release = numeric_release,
};

const AggregateOps fold_avg_numeric_ops = {
	.size = sizeof(NumericState),
	.step = numeric_step,
	.combine = avg_combine,
	.store = avg_store,
	.release = numeric_release,
};

/* The variance family: n, sum, sum of squares. */
static void
variance_step(Aggregate *aggregate, FoldChunk *chunk)
{
	ImageType	type = {.length = -1};
	bool		is_numeric = aggregate->argtype == NUMERICOID;

	for (int i = 0; i < chunk->nrows; i++)
	{
		VarianceState *state = row_state(aggregate, chunk, i);
		Datum		value;

		if (!row_argument(aggregate, chunk, i, &value))
			continue;
		state->n++;
		if (is_numeric)
		{
			value = image_plain(type, value);
			numeric_sum_add(&state->sum, NUMERIC_FRAC, value, aggregate->context);
			numeric_sum_add_square(&state->squares, NUMERIC_FRAC, value, aggregate->context);
		}
		else
		{
			int128		integer = integer_argument(aggregate, value);

			numeric_sum_add_scaled(&state->sum, INTEGER_FRAC, integer, aggregate->context);
			numeric_sum_add_scaled(&state->squares, INTEGER_FRAC, integer * integer, aggregate->context);
		}
	}
}

/* Columns n, sum, sum of squares. */
static void
variance_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	VarianceState *variance = state;

	variance->n += isnull[0] ? 0 : DatumGetInt64(values[0]);
	combine_sum(aggregate, &variance->sum, values[1], isnull[1]);
	combine_sum(aggregate, &variance->squares, values[2], isnull[2]);
}

/* The sums of nothing are NULL. */
static void
variance_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const VarianceState *variance = state;

	values[0] = Int64GetDatum(variance->n);
	isnull[0] = false;
	store_sum(aggregate, &variance->sum, variance->n == 0, &values[1], &isnull[1]);
	store_sum(aggregate, &variance->squares, variance->n == 0, &values[2], &isnull[2]);
}

/* Of the variance family. */
static void
variance_release(Aggregate *aggregate, void *state)
{
	release_sum(&((VarianceState *) state)->sum);
	release_sum(&((VarianceState *) state)->squares);
}

const AggregateOps fold_var_exact_ops = {
	.size = sizeof(VarianceState),
	.step = variance_step,
	.combine = variance_combine,
	.store = variance_store,
	.release = variance_release,
};
