/*
 * float_sum.h
 *		Exact sums of doubles: pure arithmetic, no memory, no errors.
 *
 * The sum of a multiset of doubles is a rational number that needs a few doubles
 * to be written down.  We keep it exactly, so neither the order of the inputs nor
 * the way they were cut into batches can show.
 *
 * Canonical form (what is stored, as float8[]): c1 = the sum rounded to nearest,
 * c2 = what is left of it, rounded, and so on until nothing is left.  It depends
 * on nothing but the sum, and its first element is the answer.
 *		{0}				nothing but zeros (a sum of -0 too)
 *		{NaN}			an input was NaN, or both infinities came
 *		{Infinity}		an input was infinite
 *		{Infinity, h, c2, ...}	the finite inputs' sum is beyond the range of a
 *						double: h * 2^128, then the rest; may come back into range
 */
#ifndef DELTAFLOW_MAINTAIN_FLOAT_SUM_H
#define DELTAFLOW_MAINTAIN_FLOAT_SUM_H

#define FLOAT_SUM_PARTS	4
#define FLOAT_SUM_LIMBS	34		/* 2176 bits: 2^-1074 to 2^1024, 2^64 of them, and a sign */
#define FLOAT_SUM_CANONICAL_MAX	48	/* elements of a canonical form, at most */

/* A two's complement integer in units of 2^-1074, least significant limb first. */
typedef struct WideSum
{
	uint64		limb[FLOAT_SUM_LIMBS];
} WideSum;

/* What cannot be summed. */
#define FLOAT_SUM_NAN			0x01
#define FLOAT_SUM_PLUS_INF		0x02
#define FLOAT_SUM_MINUS_INF		0x04

/*
 * The sum so far: a few parts, smallest first, none overlapping the next; or,
 * once that does not do (inputs of very different or very large size), wide.
 */
typedef struct FloatSum
{
	WideSum    *wide;			/* the caller's to allocate and free; NULL: parts hold the sum */
	uint8		nparts;
	uint8		specials;
	double		part[FLOAT_SUM_PARTS];
} FloatSum;

/* Adds x.  False, with nothing changed: the sum must be widened first. */
extern bool float_sum_add(FloatSum *sum, double x);

/* Moves the sum into `wide`, whatever that held; additions cannot fail from then on. */
extern void float_sum_widen(FloatSum *sum, WideSum *wide);

/* Adds a canonical form.  False: widen, and call again (what was added is remembered in *done, 0 at first). */
extern bool float_sum_add_canonical(FloatSum *sum, const double *form, int n, int *done);

/* Writes the canonical form into form[FLOAT_SUM_CANONICAL_MAX]; returns its length, at least 1. */
extern int	float_sum_canonical(const FloatSum *sum, double *form);

#endif							/* DELTAFLOW_MAINTAIN_FLOAT_SUM_H */
