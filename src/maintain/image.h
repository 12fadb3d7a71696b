/*
 * image.h
 *		Values as bytes: equality, order, copies.
 *
 * The image of a value is its bytes without the varlena header (which differs
 * between tuples and memory).  Values must be plain: see image_plain().
 */
#ifndef DELTAFLOW_MAINTAIN_IMAGE_H
#define DELTAFLOW_MAINTAIN_IMAGE_H

/* Of a type, as pg_type has them. */
typedef struct ImageType
{
	int16		length;
	bool		by_value;
	bool		is_numeric;
} ImageType;

extern ImageType image_type(Oid type);

/* Neither compressed nor external nor expanded: the value itself, or a copy in CurrentMemoryContext. */
extern Datum image_plain(ImageType type, Datum value);

/* memcmp order, a prefix first; of two equal numerics the one with more decimal places is greater. */
extern int	image_compare(ImageType type, Datum a, Datum b);

/* Bytes a copy takes; 0 for by-value types. */
extern Size image_size(ImageType type, Datum value);

extern uint32 image_hash(ImageType type, Datum value);

#endif							/* DELTAFLOW_MAINTAIN_IMAGE_H */
