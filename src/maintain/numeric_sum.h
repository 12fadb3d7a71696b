/*
 * numeric_sum.h
 *		Exact sums of integers and numerics that give the digits sum() gives.
 *
 * Small values are added as 128-bit integers; what does not fit there goes to a
 * numeric of its own.  Which part a value went to cannot be seen in the result.
 */
#ifndef DELTAFLOW_MAINTAIN_NUMERIC_SUM_H
#define DELTAFLOW_MAINTAIN_NUMERIC_SUM_H

#include "utils/numeric.h"

/* Unit of the small part: 10000^-frac. */
#define INTEGER_FRAC	0
#define NUMERIC_FRAC	4

typedef struct NumericSum
{
	int128		small;
	Numeric		big;			/* what is not in small, NULL: nothing */
	uint16		dscale;			/* the greatest of the inputs */
	uint8		specials;		/* NUMERIC_SUM_... seen */
} NumericSum;

#define NUMERIC_SUM_NAN			0x01
#define NUMERIC_SUM_PLUS_INF	0x02
#define NUMERIC_SUM_MINUS_INF	0x04

/* Moves the small part out of the way when it is about to overflow; `context` keeps the big part. */
extern void numeric_sum_spill(NumericSum *sum, int frac, MemoryContext context);

/* Adds a numeric or, for numeric_sum_add_square, its square; it must be plain (not toasted). */
extern void numeric_sum_add(NumericSum *sum, int frac, Datum numeric, MemoryContext context);
extern void numeric_sum_add_square(NumericSum *sum, int frac, Datum numeric, MemoryContext context);

/* The sum as sum() would show it, in CurrentMemoryContext. */
extern Numeric numeric_sum_result(const NumericSum *sum, int frac);

/* Adds value * 10000^-frac, whose display scale is already in sum->dscale. */
static inline void
numeric_sum_add_scaled(NumericSum *sum, int frac, int128 value, MemoryContext context)
{
	int128		small;

	if (unlikely(__builtin_add_overflow(sum->small, value, &small)))
	{
		numeric_sum_spill(sum, frac, context);
		small = value;
	}
	sum->small = small;
}

#endif							/* DELTAFLOW_MAINTAIN_NUMERIC_SUM_H */
