/*
 * numeric_image.c
 *		Reading and writing the stored form of numeric.
 *
 * A numeric is a varlena holding a header and base-10000 digits, most significant
 * first, without leading or trailing zero digits:
 *
 *		short:	1 0 s dddddd wwwwwww	sign, display scale 0..63, weight -64..63
 *		long:	0 s dddddddddddddd		sign, display scale 0..16383; then int16 weight
 *		other:	1 1 kk ...				NaN 00, Infinity 01, -Infinity 11
 *
 * The value is the sum of digit[i] * 10000^(weight - i).  A value read from a tuple
 * may have a one-byte varlena header, so nothing here assumes alignment.
 */
#include "postgres.h"

#include "compat.h"
#include "maintain/numeric_image.h"

#define BASE				10000
#define KIND_MASK			0xC000
#define KIND_NEGATIVE		0x4000	/* of the long form */
#define KIND_SHORT			0x8000
#define KIND_SPECIAL		0xC000
#define SPECIAL_MASK		0xF000
#define SPECIAL_PLUS_INF	0xD000
#define SPECIAL_MINUS_INF	0xF000
#define SHORT_NEGATIVE		0x2000
#define SHORT_DSCALE_SHIFT	7
#define SHORT_DSCALE_MASK	0x3F
#define SHORT_DSCALE_MAX	63
#define SHORT_WEIGHT_SIGN	0x0040
#define SHORT_WEIGHT_MASK	0x003F
#define SHORT_WEIGHT_MIN	(-64)
#define SHORT_WEIGHT_MAX	63
#define LONG_DSCALE_MASK	0x3FFF

#define FAST_DIGITS			4	/* base-10000 digits that 64 bits hold with ease */
#define SMALL_DIGITS		9	/* that 128 bits hold */
#define MAX_FRAC			4

static const int64 unit[MAX_FRAC + 1] = {
	1, INT64CONST(10000), INT64CONST(100000000), INT64CONST(1000000000000), INT64CONST(10000000000000000)
};

/* 128 bits are 39 decimal digits: at most ten base-10000 digits and one more. */
#define MAX_DIGITS			11

static inline uint16
read_uint16(const char *p)
{
	uint16		value;

	memcpy(&value, p, sizeof(value));
	return value;
}

/* What a special header says. */
static NumericKind
special_kind(uint16 header)
{
	switch (header & SPECIAL_MASK)
	{
		case SPECIAL_PLUS_INF:
			return NUMERIC_PLUS_INFINITY;
		case SPECIAL_MINUS_INF:
			return NUMERIC_MINUS_INFINITY;
		default:
			return NUMERIC_NOT_A_NUMBER;
	}
}

/* The display scale. */
int
numeric_image_dscale(Datum numeric)
{
	uint16		header = read_uint16(VARDATA_ANY(DatumGetPointer(numeric)));

	if ((header & KIND_MASK) == KIND_SPECIAL)
		return -1;
	if ((header & KIND_MASK) == KIND_SHORT)
		return (header >> SHORT_DSCALE_SHIFT) & SHORT_DSCALE_MASK;
	return header & LONG_DSCALE_MASK;
}

/* Reads a numeric: see the header. */
NumericKind
numeric_image_read(Datum numeric, int frac, int128 *value, int *dscale)
{
	const char *p = VARDATA_ANY(DatumGetPointer(numeric));
	const char *end = p + VARSIZE_ANY_EXHDR(DatumGetPointer(numeric));
	uint16		header = read_uint16(p);
	int			weight;
	int			ndigits;
	bool		negative;
	int128		whole = 0;
	uint64		part = 0;
	int			i = 0;

	Assert(frac >= 0 && frac <= MAX_FRAC);

	p += sizeof(uint16);
	if ((header & KIND_MASK) == KIND_SPECIAL)
		return special_kind(header);
	*dscale = numeric_image_dscale(numeric);
	if ((header & KIND_MASK) == KIND_SHORT)
	{
		negative = (header & SHORT_NEGATIVE) != 0;
		weight = header & SHORT_WEIGHT_MASK;
		if (header & SHORT_WEIGHT_SIGN)
			weight |= ~SHORT_WEIGHT_MASK;
	}
	else
	{
		negative = (header & KIND_MASK) == KIND_NEGATIVE;
		weight = (int16) read_uint16(p);
		p += sizeof(uint16);
	}

	ndigits = (end - p) / sizeof(int16);
	if (ndigits > 0 && (weight + 1 + frac > SMALL_DIGITS || ndigits - 1 - weight > frac))
		return NUMERIC_BIG;

	if (weight < FAST_DIGITS)
	{
		uint64		fast = 0;

		for (int w = weight; w >= 0; w--, i++)
			fast = fast * BASE + (i < ndigits ? read_uint16(p + i * sizeof(int16)) : 0);
		whole = fast;
	}
	else
	{
		for (int w = weight; w >= 0; w--, i++)
			whole = whole * BASE + (i < ndigits ? read_uint16(p + i * sizeof(int16)) : 0);
	}
	if (frac > 0)
	{
		int			first = ndigits > 0 ? weight - i : -1;	/* weight of the next digit */

		for (int w = -1; w >= -frac; w--)
		{
			part *= BASE;
			if (i < ndigits && w <= first)
				part += read_uint16(p + i++ * sizeof(int16));
		}
	}

	*value = whole * unit[frac] + part;
	if (negative)
		*value = -*value;
	return NUMERIC_SMALL;
}

/* Makes a numeric: see the header. */
Numeric
numeric_image_make(int128 value, int frac, int dscale)
{
	int16		digit[MAX_DIGITS];
	int			first = MAX_DIGITS;
	int			last = MAX_DIGITS;
	int			weight;
	bool		negative = value < 0;
	bool		is_short;
	unsigned __int128 rest = negative ? -(unsigned __int128) value : (unsigned __int128) value;
	Size		size;
	char	   *image;
	char	   *p;
	uint16		header;

	while (rest > PG_UINT64_MAX)
	{
		digit[--first] = (int16) (rest % BASE);
		rest /= BASE;
	}
	for (uint64 low = (uint64) rest; low != 0; low /= BASE)
		digit[--first] = (int16) (low % BASE);

	weight = MAX_DIGITS - 1 - frac - first;
	while (last > first && digit[last - 1] == 0)
		last--;
	if (last == first)
	{
		weight = 0;
		negative = false;
	}

	is_short = dscale <= SHORT_DSCALE_MAX &&
		weight >= SHORT_WEIGHT_MIN && weight <= SHORT_WEIGHT_MAX;
	size = VARHDRSZ + (is_short ? 1 : 2) * sizeof(uint16) + (last - first) * sizeof(int16);
	image = palloc(size);
	SET_VARSIZE(image, size);
	p = VARDATA(image);

	if (is_short)
		header = KIND_SHORT | (negative ? SHORT_NEGATIVE : 0) |
			(dscale << SHORT_DSCALE_SHIFT) |
			(weight < 0 ? SHORT_WEIGHT_SIGN : 0) | (weight & SHORT_WEIGHT_MASK);
	else
		header = (negative ? KIND_NEGATIVE : 0) | (dscale & LONG_DSCALE_MASK);
	memcpy(p, &header, sizeof(header));
	p += sizeof(header);
	if (!is_short)
	{
		int16		long_weight = (int16) weight;

		memcpy(p, &long_weight, sizeof(long_weight));
		p += sizeof(long_weight);
	}
	memcpy(p, digit + first, (last - first) * sizeof(int16));
	return (Numeric) image;
}
