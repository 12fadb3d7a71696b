/*
 * number.c
 *		Texts of numbers, exactly.
 *
 * The parsers take only the plain spellings that nearly all messages use and say
 * false to the rest; the caller then asks the type's own input function, whose
 * word is final.  So each may be fast, and none needs to know every spelling that
 * PostgreSQL accepts; but what they accept must be what the input function gives.
 *
 * No PostgreSQL here: test/unit checks this file against naive models.
 */
#include "number.h"

#define MAX_DIGITS 18

static const uint64_t powers_of_ten[] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
	10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000,
	1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000
};

/* Powers of ten that a double, respectively a float, holds exactly. */
static const double exact_double[] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};
static const float exact_float[] = {
	1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f, 1e9f, 1e10f
};

#define EXACT_DOUBLE_MANTISSA (UINT64_C(1) << 53)
#define EXACT_FLOAT_MANTISSA (UINT64_C(1) << 24)

static inline bool
is_digit(char c)
{
	return (unsigned char) (c - '0') < 10;
}

/* [-]digits[.digits] */
bool
decimal_parse(const char *text, size_t len, Decimal *decimal)
{
	const char *end = text + len;
	const char *point = NULL;
	const char *first;
	int			ndigits = 0;

	decimal->negative = len > 0 && *text == '-';
	decimal->digits = 0;
	text += decimal->negative;
	if (text == end || !is_digit(*text))
		return false;
	for (first = text; text < end; text++)
	{
		if (is_digit(*text))
		{
			if (++ndigits > MAX_DIGITS)
				return false;
			decimal->digits = decimal->digits * 10 + (*text - '0');
		}
		else if (*text == '.' && point == NULL)
			point = text;
		else
			return false;
	}
	decimal->scale = point ? end - point - 1 : 0;
	if (point != NULL && decimal->scale == 0)
		return false;
	decimal->integer_digits = (point ? point : end) - first;
	while (decimal->integer_digits > 0 && *first == '0')
	{
		decimal->integer_digits--;
		first++;
	}
	return true;
}

/*
 * Both operands are exact, and IEEE division rounds correctly, so the quotient is
 * the double nearest to the decimal: what strtod() returns.
 */
bool
decimal_to_double(const Decimal *decimal, double *value)
{
	double		magnitude;

	if (decimal->digits > EXACT_DOUBLE_MANTISSA)
		return false;
	magnitude = (double) decimal->digits / exact_double[decimal->scale];
	*value = decimal->negative ? -magnitude : magnitude;
	return true;
}

/* The same for float; not by way of double, which would round twice. */
bool
decimal_to_float(const Decimal *decimal, float *value)
{
	float		magnitude;

	if (decimal->digits > EXACT_FLOAT_MANTISSA || decimal->scale > 10)
		return false;
	magnitude = (float) decimal->digits / exact_float[decimal->scale];
	*value = decimal->negative ? -magnitude : magnitude;
	return true;
}

/* digits / 10^scale as units of 10^-to */
bool
decimal_rescale(const Decimal *decimal, int to, int64_t *value)
{
	uint64_t	result = decimal->digits;

	if (to >= decimal->scale)
	{
		if (to - decimal->scale > MAX_DIGITS ||
			__builtin_mul_overflow(result, powers_of_ten[to - decimal->scale], &result))
			return false;
	}
	else
	{
		uint64_t	divisor = powers_of_ten[decimal->scale - to];

		result = result / divisor + (result % divisor >= divisor / 2);
	}
	if (result > INT64_MAX)
		return false;
	*value = decimal->negative ? -(int64_t) result : (int64_t) result;
	return true;
}

/* Steps over digits; at least one is needed. */
static const char *
skip_digits(const char *text, const char *end)
{
	const char *first = text;

	while (text < end && is_digit(*text))
		text++;
	return text > first ? text : NULL;
}

/* The exponent behind 'e': its size against the limit, NUMBER_MALFORMED when none. */
static NumberFault
check_exponent(const char *text, const char *end, int max_exponent)
{
	int			exponent = 0;

	if (text < end && (*text == '+' || *text == '-'))
		text++;
	if (text == end || skip_digits(text, end) != end)
		return NUMBER_MALFORMED;
	for (; text < end; text++)
	{
		exponent = exponent * 10 + (*text - '0');
		if (exponent > max_exponent)
			return NUMBER_EXPONENT_TOO_LARGE;
	}
	return NUMBER_OK;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? */
NumberFault
number_check(const char *text, size_t len, int max_digits, int max_exponent)
{
	const char *end = text + len;
	const char *integer;
	const char *next;
	ptrdiff_t	ndigits;

	if (text < end && *text == '-')
		text++;
	integer = text;
	next = skip_digits(integer, end);
	if (next == NULL || (*integer == '0' && next - integer > 1))
		return NUMBER_MALFORMED;
	ndigits = next - integer;
	if (next < end && *next == '.')
	{
		const char *fraction = next + 1;

		next = skip_digits(fraction, end);
		if (next == NULL)
			return NUMBER_MALFORMED;
		ndigits += next - fraction;
	}
	if (next < end && (*next | 0x20) == 'e')
	{
		NumberFault fault = check_exponent(next + 1, end, max_exponent);

		if (fault != NUMBER_OK)
			return fault;
	}
	else if (next < end)
		return NUMBER_MALFORMED;
	return ndigits > max_digits ? NUMBER_TOO_MANY_DIGITS : NUMBER_OK;
}
