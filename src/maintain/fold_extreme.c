/*
 * fold_extreme.c
 *		min and max, and whatever else is the first or last in a btree order.
 *
 * The order is that of the aggregate's sort operator with its collation.  Among
 * equal values with different bytes the greatest image wins, so that the order of
 * rows does not show.
 *
 * Memory: a by-reference value is copied to the aggregate's context, into a buffer
 * that grows when a longer one comes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"
#include "utils/syscache.h"

#include "compat.h"
#include "maintain/aggregate_state.h"
#include "maintain/image.h"

/* How values of common by-value types compare. */
typedef enum ExtremeCompare
{
	COMPARE_INT16,
	COMPARE_INT32,
	COMPARE_INT64,
	COMPARE_BY_TYPE
} ExtremeCompare;

typedef struct Extreme
{
	ImageType	type;
	int			sign;			/* 1: greater wins, -1: less wins */
	ExtremeCompare how;
	SortSupportData order;		/* of COMPARE_BY_TYPE, ascending */
} Extreme;

typedef struct ExtremeState
{
	Datum		value;
	uint32		capacity;		/* of the buffer at value, by-reference types */
	bool		some;
} ExtremeState;

/* The operator whose first value the aggregate returns. */
static Oid
aggregate_sort_operator(Oid aggfnoid)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggfnoid));
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggfnoid);
	result = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggsortop;
	ReleaseSysCache(tuple);
	return result;
}

/* Types whose datums compare as integers. */
static ExtremeCompare
compare_by(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return COMPARE_INT16;
		case INT4OID:
		case DATEOID:
			return COMPARE_INT32;
		case INT8OID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case TIMEOID:
		case CASHOID:
			return COMPARE_INT64;
		default:
			return COMPARE_BY_TYPE;
	}
}

/* Looks the order up: the aggregate's sort operator says which end of it wins. */
static void
extreme_prepare(Aggregate *aggregate)
{
	Extreme    *extreme = palloc0(sizeof(Extreme));
	Aggref	   *aggref = aggregate->spec->aggref;
	Oid			sort_operator = aggregate_sort_operator(aggref->aggfnoid);
	Oid			family;
	Oid			input_type;
	CompareType direction;

	if (!get_ordering_op_properties(sort_operator, &family, &input_type, &direction))
		elog(ERROR, "operator %u is not an ordering operator", sort_operator);

	extreme->type = image_type(aggregate->spec->state[0].type);
	extreme->sign = direction == COMPARE_GT ? 1 : -1;
	extreme->how = compare_by(aggregate->argtype);

	extreme->order.ssup_cxt = CurrentMemoryContext;
	extreme->order.ssup_collation = aggref->inputcollid;
	PrepareSortSupportFromOrderingOp(sort_operator, &extreme->order);
	extreme->order.ssup_reverse = false;
	aggregate->private = extreme;
}

/* -1, 0, 1. */
static inline int
compare_integers(int64 a, int64 b)
{
	return (a > b) - (a < b);
}

/* Compares as the type does, ascending. */
static inline int
extreme_order(Extreme *extreme, Datum a, Datum b)
{
	switch (extreme->how)
	{
		case COMPARE_INT16:
			return compare_integers(DatumGetInt16(a), DatumGetInt16(b));
		case COMPARE_INT32:
			return compare_integers(DatumGetInt32(a), DatumGetInt32(b));
		case COMPARE_INT64:
			return compare_integers(DatumGetInt64(a), DatumGetInt64(b));
		case COMPARE_BY_TYPE:
			break;
	}
	return ApplySortComparator(a, false, b, false, &extreme->order);
}

/* Makes value the extreme. */
static void
extreme_replace(Aggregate *aggregate, ExtremeState *state, Datum value)
{
	Extreme    *extreme = aggregate->private;
	Size		size;

	if (extreme->type.by_value)
	{
		state->value = value;
		state->some = true;
		return;
	}

	size = image_size(extreme->type, value);
	if (size > state->capacity)
	{
		Size		capacity = size + size / 4;
		void	   *buffer = MemoryContextAlloc(aggregate->context, capacity);

		if (state->capacity > 0)
			pfree(DatumGetPointer(state->value));
		state->value = PointerGetDatum(buffer);
		state->capacity = capacity;
	}
	memcpy(DatumGetPointer(state->value), DatumGetPointer(value), size);
	state->some = true;
}

/* Offers a value. */
static inline void
extreme_offer(Aggregate *aggregate, ExtremeState *state, Datum value)
{
	Extreme    *extreme = aggregate->private;
	int			order;

	if (!extreme->type.by_value)
		value = image_plain(extreme->type, value);
	if (state->some)
	{
		order = extreme_order(extreme, value, state->value) * extreme->sign;
		if (order < 0 ||
			(order == 0 && (extreme->how != COMPARE_BY_TYPE ||
							image_compare(extreme->type, value, state->value) <= 0)))
			return;
	}
	extreme_replace(aggregate, state, value);
}

/* Offers each row's argument. */
static void
extreme_step(Aggregate *aggregate, FoldChunk *chunk)
{
	for (int i = 0; i < chunk->nrows; i++)
	{
		Datum		value;

		if (row_argument(aggregate, chunk, i, &value))
			extreme_offer(aggregate, row_state(aggregate, chunk, i), value);
	}
}

/* Offers the stored extreme. */
static void
extreme_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	if (!isnull[0])
		extreme_offer(aggregate, state, values[0]);
}

/* No input, no extreme. */
static void
extreme_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const ExtremeState *extreme = state;

	values[0] = extreme->value;
	isnull[0] = !extreme->some;
}

/* Frees the buffer. */
static void
extreme_release(Aggregate *aggregate, void *state)
{
	ExtremeState *extreme = state;

	if (extreme->capacity > 0)
		pfree(DatumGetPointer(extreme->value));
	extreme->capacity = 0;
}

const AggregateOps fold_min_ops = {
	.size = sizeof(ExtremeState),
	.prepare = extreme_prepare,
	.step = extreme_step,
	.combine = extreme_combine,
	.store = extreme_store,
	.release = extreme_release,
};

/* The direction follows from the aggregate's sort operator. */
const AggregateOps fold_max_ops = {
	.size = sizeof(ExtremeState),
	.prepare = extreme_prepare,
	.step = extreme_step,
	.combine = extreme_combine,
	.store = extreme_store,
	.release = extreme_release,
};
