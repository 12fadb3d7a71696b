/*
 * format_number.c
 *		Number parsers of format/number.c against naive models and the C library.
 *
 * LINK: src/format/number.c -lm
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/number.h"
#include "tap.h"

/* Whether a text parses to that integer; the length alone ends it. */
static bool
is_int(const char *text, int64_t expected)
{
	char	   *copy = malloc(strlen(text));	/* no terminator: reading on is an error */
	int64_t		value;
	bool		fine;

	memcpy(copy, text, strlen(text));
	fine = int64_parse(copy, strlen(text), &value) && value == expected;
	free(copy);
	return fine;
}

static bool
no_int(const char *text)
{
	int64_t		value;

	return !int64_parse(text, strlen(text), &value);
}

static void
integers(void)
{
	ok(is_int("0", 0) && is_int("-0", 0) && is_int("007", 7), "zeros");
	ok(is_int("9223372036854775807", INT64_MAX), "largest");
	ok(is_int("-9223372036854775808", INT64_MIN), "smallest");
	ok(no_int("9223372036854775808") && no_int("-9223372036854775809"), "beyond");
	ok(no_int("") && no_int("-") && no_int("+1") && no_int(" 1") && no_int("1 ") && no_int("1.0") &&
	   no_int("1e2") && no_int("0x1") && no_int("99999999999999999999"), "other spellings");
}

/* Random decimals against strtod and strtof, which round correctly. */
static void
floats(void)
{
	bool		doubles = true;
	bool		singles = true;
	int			exact = 0;

	srandom(42);
	for (int i = 0; i < 200000; i++)
	{
		char		text[40];
		Decimal		decimal;
		double		d;
		float		f;
		int64_t		whole = (random() * (int64_t) random()) >> random() % 62;

		snprintf(text, sizeof(text), "%s%" PRId64 ".%0*" PRId64, random() % 2 ? "-" : "",
				 whole / 1000000, (int) (random() % 9) + 1, (int64_t) random() % 10);
		if (!decimal_parse(text, strlen(text), &decimal))
			continue;
		if (decimal_to_double(&decimal, &d))
		{
			exact++;
			doubles &= d == strtod(text, NULL);
		}
		if (decimal_to_float(&decimal, &f))
			singles &= f == strtof(text, NULL);
	}
	ok(doubles, "doubles equal strtod");
	ok(singles, "floats equal strtof");
	ok(exact > 50000, "most took the short way (%d)", exact);
}

static bool
decimal_is(const char *text, uint64_t digits, int scale, int integer_digits, bool negative)
{
	Decimal		decimal;

	return decimal_parse(text, strlen(text), &decimal) && decimal.digits == digits &&
		decimal.scale == scale && decimal.integer_digits == integer_digits && decimal.negative == negative;
}

static bool
no_decimal(const char *text)
{
	Decimal		decimal;

	return !decimal_parse(text, strlen(text), &decimal);
}

static void
decimals(void)
{
	ok(decimal_is("1.50", 150, 2, 1, false), "scale is kept");
	ok(decimal_is("-00.05", 5, 2, 0, true), "leading zeros are no digits");
	ok(decimal_is("999999999999999999", 999999999999999999, 0, 18, false), "18 digits");
	ok(no_decimal("1000000000000000000") && no_decimal("0.1234567890123456789"), "19 digits");
	ok(no_decimal("") && no_decimal(".") && no_decimal("1.") && no_decimal(".5") && no_decimal("-") &&
	   no_decimal("-.5") && no_decimal("1.2.3") && no_decimal("1e2") && no_decimal("+1") && no_decimal(" 1"), "other spellings");
}

/* Rescaling against arithmetic in 128 bits. */
static void
rescaling(void)
{
	bool		right = true;

	srandom(7);
	for (int i = 0; i < 200000; i++)
	{
		Decimal		decimal = {((uint64_t) random() << 31 | random()) % UINT64_C(1000000000000000000) >> random() % 60,
		random() % 19, 0, random() % 2};
		int			to = random() % 19;
		__int128	expected = decimal.digits;
		int64_t		value;
		bool		fits;

		for (int n = decimal.scale; n < to; n++)
			expected *= 10;
		if (to < decimal.scale)
		{
			__int128	divisor = 1;

			for (int n = to; n < decimal.scale; n++)
				divisor *= 10;
			expected = (expected * 2 + divisor) / (divisor * 2);
		}
		fits = expected <= INT64_MAX;
		if (decimal.negative)
			expected = -expected;
		right &= decimal_rescale(&decimal, to, &value) == fits && (!fits || value == expected);
	}
	ok(right, "rescaled as 128-bit arithmetic does");
}

static NumberFault
check(const char *text)
{
	return number_check(text, strlen(text), 20, 30);
}

static void
grammar(void)
{
	static const char *const valid[] = {"0", "-0", "1", "10", "-1.5", "0.0", "1e1", "1E+1", "1.5e-30", "0e0", "12345678901234567890"};
	static const char *const invalid[] = {"", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "1.e1", "1x", "1e1.5", "--1", "0x1", " 1", "1 ", "Infinity", "NaN", "1,5"};

	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
		ok(check(valid[i]) == NUMBER_OK, "\"%s\" is a number", valid[i]);
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
		ok(check(invalid[i]) == NUMBER_MALFORMED, "\"%s\" is none", invalid[i]);
	ok(check("123456789012345678901") == NUMBER_TOO_MANY_DIGITS, "too many digits");
	ok(check("0.12345678901234567890") == NUMBER_TOO_MANY_DIGITS, "behind the point too");
	ok(check("1e31") == NUMBER_EXPONENT_TOO_LARGE && check("1e-31") == NUMBER_EXPONENT_TOO_LARGE &&
	   check("1e99999999999999999999") == NUMBER_EXPONENT_TOO_LARGE, "exponents");
}

int
main(void)
{
	integers();
	decimals();
	floats();
	rescaling();
	grammar();
	return done_testing();
}
