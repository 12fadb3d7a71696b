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

/* Reads without regard to alignment. */
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

/* The parts of a finite numeric. */
typedef struct FiniteNumeric
{
	bool		negative;
	int			weight;
	int			ndigits;
	const char *digits;			/* unaligned int16 */
} FiniteNumeric;

/* Takes a finite numeric apart. */
static inline FiniteNumeric
take_apart(Datum numeric, uint16 header)
{
	const char *p = VARDATA_ANY(DatumGetPointer(numeric));
	const char *end = p + VARSIZE_ANY_EXHDR(DatumGetPointer(numeric));
	FiniteNumeric parts;

	p += sizeof(uint16);
	if ((header & KIND_MASK) == KIND_SHORT)
	{
		parts.negative = (header & SHORT_NEGATIVE) != 0;
		parts.weight = header & SHORT_WEIGHT_MASK;
		if (header & SHORT_WEIGHT_SIGN)
			parts.weight |= ~SHORT_WEIGHT_MASK;
	}
	else
	{
		parts.negative = (header & KIND_MASK) == KIND_NEGATIVE;
		parts.weight = (int16) read_uint16(p);
		p += sizeof(int16);
	}
	parts.digits = p;
	parts.ndigits = (end - p) / sizeof(int16);
	return parts;
}

/* Digit i, 0 behind the last one. */
static inline uint16
digit_at(const FiniteNumeric *parts, int i)
{
	return i < parts->ndigits ? read_uint16(parts->digits + i * sizeof(int16)) : 0;
}

/* What stands before the point. */
static inline int128
whole_part(const FiniteNumeric *parts)
{
	uint64		fast = 0;
	int128		whole;
	int			i = 0;

	for (; i <= Min(parts->weight, FAST_DIGITS - 1); i++)
		fast = fast * BASE + digit_at(parts, i);
	whole = fast;
	for (; i <= parts->weight; i++)
		whole = whole * BASE + digit_at(parts, i);
	return whole;
}

/* What stands behind the point, in units of 10000^-frac. */
static inline uint64
fractional_part(const FiniteNumeric *parts, int frac)
{
	uint64		part = 0;

	for (int w = -1; w >= -frac; w--)
		part = part * BASE + (w <= parts->weight ? digit_at(parts, parts->weight - w) : 0);
	return part;
}

/* Reads a numeric: see the header. */
NumericKind
numeric_image_read(Datum numeric, int frac, int128 *value, int *dscale)
{
	uint16		header = read_uint16(VARDATA_ANY(DatumGetPointer(numeric)));
	FiniteNumeric parts;

	Assert(frac >= 0 && frac <= MAX_FRAC);

	if ((header & KIND_MASK) == KIND_SPECIAL)
		return special_kind(header);
	*dscale = numeric_image_dscale(numeric);
	parts = take_apart(numeric, header);
	if (parts.ndigits > 0 &&
		(parts.weight + 1 + frac > SMALL_DIGITS || parts.ndigits - 1 - parts.weight > frac))
		return NUMERIC_BIG;

	*value = whole_part(&parts) * unit[frac] + fractional_part(&parts, frac);
	if (parts.negative)
		*value = -*value;
	return NUMERIC_SMALL;
}

/* Base-10000 digits of a magnitude into digit[*first .. *last), without zeros at either end. */
static void
split_digits(unsigned __int128 rest, int16 *digit, int *first, int *last)
{
	*first = MAX_DIGITS;
	*last = MAX_DIGITS;
	while (rest > PG_UINT64_MAX)
	{
		digit[--*first] = (int16) (rest % BASE);
		rest /= BASE;
	}
	for (uint64 low = (uint64) rest; low != 0; low /= BASE)
		digit[--*first] = (int16) (low % BASE);
	while (*last > *first && digit[*last - 1] == 0)
		--*last;
}

/* Writes the header; returns how many bytes it has. */
static int
write_header(char *p, bool negative, int weight, int dscale)
{
	uint16		header[2];

	if (dscale <= SHORT_DSCALE_MAX && weight >= SHORT_WEIGHT_MIN && weight <= SHORT_WEIGHT_MAX)
	{
		header[0] = KIND_SHORT | (negative ? SHORT_NEGATIVE : 0) |
			(dscale << SHORT_DSCALE_SHIFT) |
			(weight < 0 ? SHORT_WEIGHT_SIGN : 0) | (weight & SHORT_WEIGHT_MASK);
		memcpy(p, header, sizeof(uint16));
		return sizeof(uint16);
	}
	header[0] = (negative ? KIND_NEGATIVE : 0) | (dscale & LONG_DSCALE_MASK);
	header[1] = (uint16) weight;
	memcpy(p, header, sizeof(header));
	return sizeof(header);
}

/* Makes a numeric: see the header. */
Numeric
numeric_image_make(int128 value, int frac, int dscale)
{
	int16		digit[MAX_DIGITS];
	int			first;
	int			last;
	int			weight;
	bool		negative = value < 0;
	char		header[2 * sizeof(uint16)];
	int			header_size;
	Size		digits_size;
	char	   *image;

	split_digits(negative ? -(unsigned __int128) value : (unsigned __int128) value,
				 digit, &first, &last);
	weight = last == first ? 0 : MAX_DIGITS - 1 - frac - first;
	header_size = write_header(header, negative, weight, dscale);
	digits_size = (last - first) * sizeof(int16);

	image = palloc(VARHDRSZ + header_size + digits_size);
	SET_VARSIZE(image, VARHDRSZ + header_size + digits_size);
	memcpy(VARDATA(image), header, header_size);
	memcpy(VARDATA(image) + header_size, digit + first, digits_size);
	return (Numeric) image;
}
