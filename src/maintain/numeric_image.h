/*
 * numeric_image.h
 *		numeric values as scaled 128-bit integers and back, without the server's
 *		variable-length arithmetic.
 *
 * The layout of a stored numeric has been the same since 9.1 (infinities: 14) and
 * pg_upgrade relies on it; the server exports no way to read it.
 */
#ifndef DELTAFLOW_MAINTAIN_NUMERIC_IMAGE_H
#define DELTAFLOW_MAINTAIN_NUMERIC_IMAGE_H

#include "utils/numeric.h"

typedef enum NumericKind
{
	NUMERIC_SMALL,				/* *value * 10000^-frac */
	NUMERIC_BIG,				/* finite, but needs more digits */
	NUMERIC_NOT_A_NUMBER,
	NUMERIC_PLUS_INFINITY,
	NUMERIC_MINUS_INFINITY
} NumericKind;

/*
 * Reads a plain (not compressed, not external) numeric.  `frac` is how many
 * base-10000 digits after the point the unit has, up to 4; a value with more, or
 * with more than nine in all, is BIG.
 */
extern NumericKind numeric_image_read(Datum numeric, int frac, int128 *value, int *dscale);

/* Its display scale; -1 for what is no finite number. */
extern int	numeric_image_dscale(Datum numeric);

/* value * 10000^-frac with that display scale, byte for byte as the server makes it. */
extern Numeric numeric_image_make(int128 value, int frac, int dscale);

#endif							/* DELTAFLOW_MAINTAIN_NUMERIC_IMAGE_H */
