/*
 * number.h
 *		Texts of numbers, exactly: pure functions without PostgreSQL.
 */
#ifndef DELTAFLOW_FORMAT_NUMBER_H
#define DELTAFLOW_FORMAT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -1.50 is {150, 2, true}. */
typedef struct Decimal
{
	uint64_t	digits;			/* below 10^18 */
	int			scale;			/* digits behind the point */
	int			integer_digits; /* before it, leading zeros not counted */
	bool		negative;
} Decimal;

typedef enum NumberFault
{
	NUMBER_OK,
	NUMBER_MALFORMED,			/* not a number of JSON */
	NUMBER_TOO_MANY_DIGITS,
	NUMBER_EXPONENT_TOO_LARGE
} NumberFault;

/* [-]digits, within int64; anything else is false, however valid elsewhere. */
static inline bool
int64_parse(const char *text, size_t len, int64_t *value)
{
	const char *end = text + len;
	bool		negative = len > 0 && *text == '-';
	uint64_t	sum = 0;

	text += negative;
	if (text == end || end - text > 19)
		return false;
	for (; text < end; text++)
	{
		unsigned	digit = (unsigned char) (*text - '0');

		if (digit > 9)
			return false;
		sum = sum * 10 + digit;
	}
	if (sum > (uint64_t) INT64_MAX + negative)
		return false;
	*value = negative ? (int64_t) (0 - sum) : (int64_t) sum;
	return true;
}

/* [-]digits[.digits], at most 18 of them; anything else is false. */
extern bool decimal_parse(const char *text, size_t len, Decimal *decimal);

/* The nearest double or float when one exact division gives it; else false. */
extern bool decimal_to_double(const Decimal *decimal, double *value);
extern bool decimal_to_float(const Decimal *decimal, float *value);

/*
 * digits / 10^from rescaled to 10^to, rounding half away from zero; false on
 * overflow of int64.
 */
extern bool decimal_rescale(const Decimal *decimal, int to, int64_t *value);

/* The grammar of JSON numbers, and limits on what their expansion would cost. */
extern NumberFault number_check(const char *text, size_t len, int max_digits, int max_exponent);

#endif							/* DELTAFLOW_FORMAT_NUMBER_H */
