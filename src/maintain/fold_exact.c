/*
 * fold_exact.c
 *		count, and sum and avg over int2 and int4: plain 64-bit integers.
 *
 * Sums that leave the range of bigint are an error, as adding bigints is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"

#include "compat.h"
#include "maintain/aggregate_state.h"

/* count(*), count(x), and two-argument relatives that count rows without NULLs. */

/* Is every argument of row i there? */
static inline bool
row_has_arguments(const Aggregate *aggregate, const FoldChunk *chunk, int i)
{
	const FoldAggregate *spec = aggregate->spec;

	for (int a = 0; a < spec->nargs; a++)
	{
		if (chunk->isnull[chunk->input[i] + spec->args[a]])
			return false;
	}
	return true;
}

/* One more row for its group. */
static void
count_step(Aggregate *aggregate, FoldChunk *chunk)
{
	if (aggregate->spec->nargs == 0 && aggregate->filter < 0)
	{
		for (int i = 0; i < chunk->nrows; i++)
			++*(int64 *) row_state(aggregate, chunk, i);
		return;
	}
	for (int i = 0; i < chunk->nrows; i++)
	{
		if (row_has_arguments(aggregate, chunk, i) && row_passes(aggregate, chunk, i))
			++*(int64 *) row_state(aggregate, chunk, i);
	}
}

/* Stored rows count as well. */
static void
count_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	*(int64 *) state += isnull[0] ? 0 : DatumGetInt64(values[0]);
}

/* A count is never NULL. */
static void
count_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	values[0] = Int64GetDatum(*(const int64 *) state);
	isnull[0] = false;
}

const AggregateOps fold_count_ops = {
	.size = sizeof(int64),
	.step = count_step,
	.combine = count_combine,
	.store = count_store,
};

/* sum and avg of int2 and int4: how many, and their sum. */

typedef struct IntSum
{
	int64		n;
	int64		sum;
} IntSum;

/* Adds, or raises what adding bigints raises. */
static inline void
int_sum_add(IntSum *state, int64 value)
{
	if (unlikely(pg_add_s64_overflow(state->sum, value, &state->sum)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("bigint out of range")));
}

/* Both widths of integer, into n and sum. */
static void
int_sum_step(Aggregate *aggregate, FoldChunk *chunk)
{
	bool		narrow = aggregate->argtype == INT2OID;

	for (int i = 0; i < chunk->nrows; i++)
	{
		IntSum	   *state = row_state(aggregate, chunk, i);
		Datum		value;

		if (!row_argument(aggregate, chunk, i, &value))
			continue;
		int_sum_add(state, narrow ? DatumGetInt16(value) : DatumGetInt32(value));
		state->n++;
	}
}

/* Columns n, sum. */
static void
avg_int_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	IntSum	   *sum = state;

	sum->n += isnull[0] ? 0 : DatumGetInt64(values[0]);
	if (!isnull[1])
		int_sum_add(sum, DatumGetInt64(values[1]));
}

/* The sum of nothing is NULL. */
static void
avg_int_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const IntSum *sum = state;

	values[0] = Int64GetDatum(sum->n);
	isnull[0] = false;
	values[1] = Int64GetDatum(sum->sum);
	isnull[1] = sum->n == 0;
}

const AggregateOps fold_avg_int_ops = {
	.size = sizeof(IntSum),
	.step = int_sum_step,
	.combine = avg_int_combine,
	.store = avg_int_store,
};

/* sum alone: n only tells whether there was any input. */

/* Column sum. */
static void
sum_int_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	IntSum	   *sum = state;

	if (isnull[0])
		return;
	sum->n++;
	int_sum_add(sum, DatumGetInt64(values[0]));
}

/* The sum of nothing is NULL. */
static void
sum_int_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const IntSum *sum = state;

	values[0] = Int64GetDatum(sum->sum);
	isnull[0] = sum->n == 0;
}

const AggregateOps fold_sum_int_ops = {
	.size = sizeof(IntSum),
	.step = int_sum_step,
	.combine = sum_int_combine,
	.store = sum_int_store,
};
