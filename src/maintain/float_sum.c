/*
 * float_sum.c
 *		Exact sums of doubles: expansions with a wide integer behind them.
 *
 * In come doubles in any order; out comes the canonical form of their exact sum.
 *
 *	x ──two-sum through the parts──> up to four parts        (nearly always one or two)
 *	       │ more parts needed, or |sum| >= 2^1000
 *	       └──> wide: a 2176-bit integer in units of 2^-1074 (any finite inputs)
 *
 * Adding x to the parts is Shewchuk's grow-expansion: each step replaces two
 * doubles by their rounded sum and the error of it, which is a double too, so
 * nothing is lost.  The parts never overlap, but which parts they are depends on
 * the order of the inputs.  The canonical form does not: it is computed from the
 * exact value alone.
 *
 * Relies on IEEE doubles rounded to nearest, evaluated without excess precision;
 * PostgreSQL is built that way.
 */
#include "postgres.h"

#include <math.h>

#include "port/pg_bitutils.h"

#include "maintain/float_sum.h"

/* Parts stay below this, so that no intermediate sum of theirs overflows. */
#define PARTS_LIMIT		0x1p1000

/* h * 2^OVERFLOW_SHIFT is the first component of a sum that no double can hold. */
#define OVERFLOW_SHIFT	128

#define MANTISSA_BITS	53
#define LOWEST_EXPONENT	(-1074)

/* *lo becomes the exact error of the rounded sum returned. */
static inline double
two_sum(double a, double b, double *lo)
{
	double		sum = a + b;
	double		b_part = sum - a;
	double		a_part = sum - b_part;

	*lo = (a - a_part) + (b - b_part);
	return sum;
}

/* limb[at..] += value, carrying on upwards. */
static inline void
limbs_add(uint64 *limb, int at, uint64 value)
{
	for (; value != 0 && at < FLOAT_SUM_LIMBS; at++)
	{
		limb[at] += value;
		value = limb[at] < value;
	}
}

/* limb[at..] -= value, borrowing upwards. */
static inline void
limbs_subtract(uint64 *limb, int at, uint64 value)
{
	for (; value != 0 && at < FLOAT_SUM_LIMBS; at++)
	{
		uint64		before = limb[at];

		limb[at] = before - value;
		value = before < value;
	}
}

/* Adds, or subtracts, mantissa * 2^(LOWEST_EXPONENT + shift). */
static void
wide_accumulate(WideSum *wide, uint64 mantissa, int shift, bool negative)
{
	int			at = shift / 64;
	int			bits = shift % 64;
	uint64		low = mantissa << bits;
	uint64		high = bits == 0 ? 0 : mantissa >> (64 - bits);

	if (negative)
	{
		limbs_subtract(wide->limb, at, low);
		limbs_subtract(wide->limb, at + 1, high);
	}
	else
	{
		limbs_add(wide->limb, at, low);
		limbs_add(wide->limb, at + 1, high);
	}
}

/* Adds x * 2^scale; x is finite. */
static void
wide_add(WideSum *wide, double x, int scale)
{
	uint64		bits;
	uint64		mantissa;
	int			exponent;

	memcpy(&bits, &x, sizeof(bits));
	mantissa = bits & ((UINT64CONST(1) << 52) - 1);
	exponent = (bits >> 52) & 0x7FF;

	if (exponent == 0)			/* zero or subnormal: no hidden bit */
		exponent = 1;
	else
		mantissa |= UINT64CONST(1) << 52;

	wide_accumulate(wide, mantissa, exponent - 1 + scale, (bits >> 63) != 0);
}

/* The sign of a two's complement integer. */
static inline bool
wide_is_negative(const WideSum *wide)
{
	return (wide->limb[FLOAT_SUM_LIMBS - 1] >> 63) != 0;
}

/* Changes the sign. */
static void
wide_negate(WideSum *wide)
{
	for (int i = 0; i < FLOAT_SUM_LIMBS; i++)
		wide->limb[i] = ~wide->limb[i];
	limbs_add(wide->limb, 0, 1);
}

/* The highest bit that is set in a sum that is not negative, -1: none. */
static int
wide_top_bit(const WideSum *wide)
{
	for (int i = FLOAT_SUM_LIMBS - 1; i >= 0; i--)
	{
		if (wide->limb[i] != 0)
			return i * 64 + pg_leftmost_one_pos64(wide->limb[i]);
	}
	return -1;
}

/* 53 bits from `low` upwards. */
static uint64
wide_bits(const WideSum *wide, int low)
{
	int			at = low / 64;
	int			bits = low % 64;
	uint64		value = wide->limb[at] >> bits;

	if (bits != 0 && at + 1 < FLOAT_SUM_LIMBS)
		value |= wide->limb[at + 1] << (64 - bits);
	return value & ((UINT64CONST(1) << MANTISSA_BITS) - 1);
}

/* Is any bit below `bit` set? */
static bool
wide_any_below(const WideSum *wide, int bit)
{
	int			at = bit / 64;

	for (int i = 0; i < at; i++)
	{
		if (wide->limb[i] != 0)
			return true;
	}
	return (wide->limb[at] & ((UINT64CONST(1) << (bit % 64)) - 1)) != 0;
}

/*
 * The 53 leading bits of a sum that is not negative and whose top bit is `top`,
 * rounded to nearest, ties to even; *shift is where they stand.
 */
static uint64
wide_round(const WideSum *wide, int top, int *shift)
{
	uint64		mantissa;
	int			below;

	if (top < MANTISSA_BITS)
	{
		*shift = 0;
		return wide_bits(wide, 0);
	}

	*shift = top - (MANTISSA_BITS - 1);
	mantissa = wide_bits(wide, *shift);
	below = *shift - 1;
	if ((wide->limb[below / 64] >> (below % 64)) & 1)
	{
		if ((mantissa & 1) != 0 || wide_any_below(wide, below))
			mantissa++;
	}
	return mantissa;
}

/* The canonical form of a wide sum, which is used up. */
static int
wide_canonical(WideSum *wide, double *form)
{
	int			n = 0;
	double		sign = 1.0;

	for (;;)
	{
		uint64		mantissa;
		double		component;
		int			top;
		int			shift;

		if (wide_is_negative(wide))
		{
			wide_negate(wide);
			sign = -sign;
		}
		top = wide_top_bit(wide);
		if (top < 0)
			break;

		mantissa = wide_round(wide, top, &shift);
		component = ldexp((double) mantissa, shift + LOWEST_EXPONENT);
		if (isinf(component))
		{
			form[n++] = sign * component;
			component = ldexp((double) mantissa, shift + LOWEST_EXPONENT - OVERFLOW_SHIFT);
		}
		Assert(n < FLOAT_SUM_CANONICAL_MAX);
		form[n++] = sign * component;
		wide_accumulate(wide, mantissa, shift, true);
	}

	if (n == 0)
		form[n++] = 0.0;
	return n;
}

/* Notes an input that is no number.  False: it is one. */
static inline bool
float_sum_add_special(FloatSum *sum, double x)
{
	if (likely(isfinite(x)))
		return false;
	if (isnan(x))
		sum->specials |= FLOAT_SUM_NAN;
	else
		sum->specials |= x > 0 ? FLOAT_SUM_PLUS_INF : FLOAT_SUM_MINUS_INF;
	return true;
}

/* Adds x: see the header. */
bool
float_sum_add(FloatSum *sum, double x)
{
	double		grown[FLOAT_SUM_PARTS + 1];
	int			n = 0;

	if (float_sum_add_special(sum, x))
		return true;
	if (sum->wide != NULL)
	{
		wide_add(sum->wide, x, 0);
		return true;
	}

	for (int i = 0; i < sum->nparts; i++)
	{
		double		lo;

		x = two_sum(x, sum->part[i], &lo);
		if (lo != 0)
			grown[n++] = lo;
	}
	if (x != 0)
		grown[n++] = x;

	if (unlikely(n > FLOAT_SUM_PARTS || !(fabs(x) < PARTS_LIMIT)))
		return false;

	for (int i = 0; i < n; i++)
		sum->part[i] = grown[i];
	sum->nparts = n;
	return true;
}

/* Moves the sum into `wide`. */
void
float_sum_widen(FloatSum *sum, WideSum *wide)
{
	Assert(sum->wide == NULL);

	memset(wide, 0, sizeof(WideSum));
	for (int i = 0; i < sum->nparts; i++)
		wide_add(wide, sum->part[i], 0);
	sum->nparts = 0;
	sum->wide = wide;
}

/* Adds a canonical form: see the header. */
bool
float_sum_add_canonical(FloatSum *sum, const double *form, int n, int *done)
{
	if (n > 1 && isinf(form[0]) && *done == 0)
	{
		if (sum->wide == NULL)
			return false;
		wide_add(sum->wide, form[1], OVERFLOW_SHIFT);
		*done = 2;
	}

	for (; *done < n; (*done)++)
	{
		if (!float_sum_add(sum, form[*done]))
			return false;
	}
	return true;
}

/* The canonical form: see the header. */
int
float_sum_canonical(const FloatSum *sum, double *form)
{
	WideSum		wide;

	if (sum->specials != 0)
	{
		if (sum->specials == FLOAT_SUM_PLUS_INF)
			form[0] = INFINITY;
		else if (sum->specials == FLOAT_SUM_MINUS_INF)
			form[0] = -INFINITY;
		else
			form[0] = NAN;
		return 1;
	}

	if (sum->wide == NULL && sum->nparts <= 2)
	{
		double		lo = 0;

		if (sum->nparts == 0)
			form[0] = 0.0;
		else if (sum->nparts == 1)
			form[0] = sum->part[0];
		else
			form[0] = two_sum(sum->part[1], sum->part[0], &lo);
		if (lo == 0)
			return 1;
		form[1] = lo;
		return 2;
	}

	if (sum->wide != NULL)
		wide = *sum->wide;
	else
	{
		memset(&wide, 0, sizeof(wide));
		for (int i = 0; i < sum->nparts; i++)
			wide_add(&wide, sum->part[i], 0);
	}
	return wide_canonical(&wide, form);
}
