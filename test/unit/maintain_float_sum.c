/*
 * maintain_float_sum.c
 *		Exact float sums against a naive model: one signed counter per bit.
 *
 * LINK: src/maintain/float_sum.c -lm
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "maintain/float_sum.h"

/* the C library's, not the server's */
#undef printf
#undef vprintf
#include "tap.h"

#define MODEL_BITS	2400
#define MODEL_ZERO	1074		/* the bit of 2^0 */
#define CASES		120000
#define MAX_INPUTS	24

/* The model: sum of bit[i] * 2^(i - MODEL_ZERO). */
typedef struct Model
{
	int64		bit[MODEL_BITS];
} Model;

static uint64 seed = UINT64CONST(88172645463325252);

/* xorshift64: the same numbers in every run. */
static uint64
random_bits(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Adds x * 2^scale, sign times. */
static void
model_add(Model *model, double x, int scale, int sign)
{
	int			exponent;
	double		mantissa = frexp(fabs(x), &exponent);
	int			low;
	uint64		bits;

	if (x == 0)
		return;
	bits = (uint64) ldexp(mantissa, 53);
	low = exponent - 53 + scale + MODEL_ZERO;
	for (int i = 0; i < 53; i++)
	{
		if ((bits >> i) & 1)
		{
			/* below the lowest bit there is nothing: subnormals have zeros there */
			model->bit[low + i] += x < 0 ? -sign : sign;
		}
	}
}

/* Carries through, and tells whether nothing is left. */
static bool
model_is_zero(Model *model)
{
	int64		carry = 0;

	for (int i = 0; i < MODEL_BITS; i++)
	{
		int64		value = model->bit[i] + carry;

		if (value % 2 != 0)
			return false;
		carry = value / 2;
	}
	return carry == 0;
}

/* Widens as the caller of float_sum does. */
static void
add(FloatSum *sum, WideSum *wide, double x)
{
	if (!float_sum_add(sum, x))
	{
		float_sum_widen(sum, wide);
		if (!float_sum_add(sum, x))
			abort();
	}
}

/* The canonical form of a sum. */
static int
canonical(const double *x, int n, double *form)
{
	FloatSum	sum = {0};
	WideSum		wide;

	for (int i = 0; i < n; i++)
		add(&sum, &wide, x[i]);
	return float_sum_canonical(&sum, form);
}

/* The same inputs summed as two halves whose canonical forms are then added. */
static int
canonical_of_parts(const double *x, int n, double *form)
{
	FloatSum	sum = {0};
	WideSum		wide;
	int			cut = random_bits() % (n + 1);
	double		part[FLOAT_SUM_CANONICAL_MAX];

	for (int half = 0; half < 2; half++)
	{
		int			done = 0;
		int			length = half == 0 ? canonical(x, cut, part) : canonical(x + cut, n - cut, part);

		while (!float_sum_add_canonical(&sum, part, length, &done))
			float_sum_widen(&sum, &wide);
	}
	return float_sum_canonical(&sum, form);
}

/* Puts inputs in random order. */
static void
shuffle(double *x, int n)
{
	for (int i = n - 1; i > 0; i--)
	{
		int			j = random_bits() % (i + 1);
		double		y = x[i];

		x[i] = x[j];
		x[j] = y;
	}
}

/* A finite double: of ordinary, wide or extreme size; sometimes one seen before, negated. */
static double
random_double(const double *before, int n)
{
	uint64		bits = random_bits();
	double		x;

	switch (random_bits() % 8)
	{
		case 0:
			return (double) (int64) (random_bits() % 2000001) / 100 - 10000;
		case 1:
			return ldexp((double) (int64) (random_bits() % 1024) - 512, random_bits() % 60 - 30);
		case 2:
			return n > 0 ? -before[random_bits() % n] : 0.0;
		case 3:
			return (random_bits() & 1) ? DBL_MAX : -DBL_MAX;
		case 4:
			return ldexp(1.0, random_bits() % 120 - 60) * ((random_bits() & 1) ? 1 : -1);
		case 5:
			return DBL_TRUE_MIN * (double) (int64) (random_bits() % 5) - 2 * DBL_TRUE_MIN;
		default:
			memcpy(&x, &bits, sizeof(x));
			return isfinite(x) ? x : 1.0;
	}
}

/* Is each component the rest of the sum, rounded to nearest? */
static bool
is_canonical(const double *x, int n, const double *form, int length)
{
	Model		model = {{0}};
	int			first = 0;

	for (int i = 0; i < n; i++)
		model_add(&model, x[i], 0, 1);
	if (length > 1 && isinf(form[0]))
	{
		model_add(&model, form[1], 128, -1);
		first = 2;
	}
	for (int i = first; i < length; i++)
	{
		double		above = i == 0 ? 0 : form[i - 1];

		model_add(&model, form[i], 0, -1);
		if (i > first && fabs(form[i]) > (nextafter(fabs(above), INFINITY) - fabs(above)) / 2)
			return false;
		if (form[i] == 0 && length > 1)
			return false;
	}
	return model_is_zero(&model);
}

/* Random sums: exact, canonical, and independent of order and cuts. */
static void
test_random(void)
{
	int			wrong_value = 0;
	int			order_shows = 0;
	int			cut_shows = 0;

	for (int test = 0; test < CASES; test++)
	{
		double		x[MAX_INPUTS];
		double		form[FLOAT_SUM_CANONICAL_MAX];
		double		other[FLOAT_SUM_CANONICAL_MAX];
		int			n = random_bits() % (MAX_INPUTS + 1);
		int			length;

		for (int i = 0; i < n; i++)
			x[i] = random_double(x, i);
		length = canonical(x, n, form);
		if (!is_canonical(x, n, form, length))
			wrong_value++;
		if (canonical_of_parts(x, n, other) != length || memcmp(form, other, length * sizeof(double)) != 0)
			cut_shows++;
		shuffle(x, n);
		if (canonical(x, n, other) != length || memcmp(form, other, length * sizeof(double)) != 0)
			order_shows++;
	}
	ok(wrong_value == 0, "%d random sums are exact and canonical (%d are not)", CASES, wrong_value);
	ok(order_shows == 0, "their order does not show (%d do)", order_shows);
	ok(cut_shows == 0, "where they are cut does not show (%d do)", cut_shows);
}

/* One sum with its canonical form. */
static void
test_sum(const char *name, const double *x, int n, const double *expected, int length)
{
	double		form[FLOAT_SUM_CANONICAL_MAX];
	int			got = canonical(x, n, form);

	ok(got == length && memcmp(form, expected, length * sizeof(double)) == 0, "%s", name);
}

#define SUM(name, x, ...) \
	do { \
		static const double inputs[] = x; \
		static const double expected[] = __VA_ARGS__; \
		test_sum(name, inputs, lengthof(inputs), expected, lengthof(expected)); \
	} while (0)
#define LIST(...) {__VA_ARGS__}

/* Sums with a known answer, then random ones. */
int
main(void)
{
	SUM("cancellation keeps the small part", LIST(1, 1e100, 1, -1e100), {2});
	SUM("nothing but -0", LIST(-0.0, -0.0), {0});
	SUM("x and -x", LIST(0.1, -0.1), {0});
	SUM("ten times 0.1 rounds to 1", LIST(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), {1, 0x1p-54});
	SUM("overflow and back", LIST(DBL_MAX, DBL_MAX, -DBL_MAX, -DBL_MAX, 3), {3});
	SUM("beyond the range", LIST(DBL_MAX, DBL_MAX, 1), {INFINITY, 0x1.fffffffffffffp+896, 1});
	SUM("an infinity", LIST(1, INFINITY, -5), {INFINITY});
	SUM("minus infinity", LIST(-INFINITY, 1), {-INFINITY});
	SUM("both infinities", LIST(INFINITY, -INFINITY), {NAN});
	SUM("NaN", LIST(1, NAN, INFINITY), {NAN});
	SUM("subnormals", LIST(DBL_TRUE_MIN, DBL_TRUE_MIN), {2 * DBL_TRUE_MIN});
	SUM("ties to even, broken by what is below", LIST(1, 0x1p-53, 0x1p-150), {0x1.0000000000001p+0, -0x1p-53, 0x1p-150});
	test_random();
	return done_testing();
}
