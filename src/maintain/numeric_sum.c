/*
 * numeric_sum.c
 *		Exact sums of integers and numerics: a 128-bit integer with a numeric
 *		behind it.
 *
 *	value ──fits 10^20 with 16 decimals──> small += value      (some nanoseconds)
 *	      ──else──────────────────────────> big = big + value   (the server's numeric_add)
 *	small about to overflow ──────────────> big = big + small, small = 0
 *
 * result = small + big, shown with the greatest display scale of the inputs, as
 * sum(numeric) does.  A numeric's bytes follow from its value and display scale,
 * so how the sum was split does not show.  NaN and the infinities are absorbing:
 * once seen, the result follows from which were seen.
 *
 * Memory: big lives in the context given, freed and replaced as it grows.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "maintain/numeric_image.h"
#include "maintain/numeric_sum.h"

#define DSCALE_MAX	0x3FFF

/* The server's own addition, in CurrentMemoryContext. */
static inline Numeric
add_numerics(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a), NumericGetDatum(b)));
}

/* big += value; value may be anything finite, header packed or not. */
static void
add_to_big(NumericSum *sum, Datum value, MemoryContext context)
{
	Numeric		before = sum->big;
	Numeric		addend = DatumGetNumeric(value);
	MemoryContext old = MemoryContextSwitchTo(context);

	if (before == NULL)
	{
		sum->big = (Numeric) palloc(VARSIZE(addend));
		memcpy(sum->big, addend, VARSIZE(addend));
	}
	else
	{
		sum->big = add_numerics(before, addend);
		pfree(before);
	}
	MemoryContextSwitchTo(old);

	if ((Pointer) addend != DatumGetPointer(value))
		pfree(addend);
}

/* Moves the small part into the big one. */
void
numeric_sum_spill(NumericSum *sum, int frac, MemoryContext context)
{
	Numeric		small = numeric_image_make(sum->small, frac, sum->dscale);

	add_to_big(sum, NumericGetDatum(small), context);
	pfree(small);
	sum->small = 0;
}

/* Notes an input without a finite value. */
static inline void
add_special(NumericSum *sum, NumericKind kind)
{
	if (kind == NUMERIC_NOT_A_NUMBER)
		sum->specials |= NUMERIC_SUM_NAN;
	else if (kind == NUMERIC_PLUS_INFINITY)
		sum->specials |= NUMERIC_SUM_PLUS_INF;
	else
		sum->specials |= NUMERIC_SUM_MINUS_INF;
}

/* The result shows the greatest display scale, up to what a numeric can say. */
static inline void
raise_dscale(NumericSum *sum, int dscale)
{
	dscale = Min(dscale, DSCALE_MAX);
	if (dscale > sum->dscale)
		sum->dscale = dscale;
}

/* Adds a numeric. */
void
numeric_sum_add(NumericSum *sum, int frac, Datum numeric, MemoryContext context)
{
	int128		value;
	int			dscale;
	NumericKind kind = numeric_image_read(numeric, frac, &value, &dscale);

	if (likely(kind == NUMERIC_SMALL))
	{
		raise_dscale(sum, dscale);
		numeric_sum_add_scaled(sum, frac, value, context);
	}
	else if (kind == NUMERIC_BIG)
	{
		raise_dscale(sum, dscale);
		add_to_big(sum, numeric, context);
	}
	else
		add_special(sum, kind);
}

/* Adds the square of a numeric: an infinity's is Infinity, as in the server's variance. */
void
numeric_sum_add_square(NumericSum *sum, int frac, Datum numeric, MemoryContext context)
{
	int128		value;
	int			dscale;
	NumericKind kind = numeric_image_read(numeric, frac / 2, &value, &dscale);

	if (kind == NUMERIC_SMALL && value <= PG_INT64_MAX && value >= -PG_INT64_MAX)
	{
		raise_dscale(sum, 2 * dscale);
		numeric_sum_add_scaled(sum, frac, value * value, context);
	}
	else if (kind == NUMERIC_SMALL || kind == NUMERIC_BIG)
	{
		Datum		square = DirectFunctionCall2(numeric_mul, numeric, numeric);

		raise_dscale(sum, 2 * dscale);
		add_to_big(sum, square, context);
		pfree(DatumGetPointer(square));
	}
	else
		add_special(sum, kind == NUMERIC_NOT_A_NUMBER ? kind : NUMERIC_PLUS_INFINITY);
}

/* A numeric that is no finite number. */
static Numeric
special_numeric(const char *text)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* The sum as sum() would show it. */
Numeric
numeric_sum_result(const NumericSum *sum, int frac)
{
	Numeric		small;
	Numeric		result;

	if (sum->specials != 0)
	{
		if (sum->specials == NUMERIC_SUM_PLUS_INF)
			return special_numeric("Infinity");
		if (sum->specials == NUMERIC_SUM_MINUS_INF)
			return special_numeric("-Infinity");
		return special_numeric("NaN");
	}

	small = numeric_image_make(sum->small, frac, sum->dscale);
	if (sum->big == NULL)
		return small;

	result = add_numerics(small, sum->big);
	pfree(small);
	return result;
}
