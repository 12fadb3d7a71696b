/*
 * image.c
 *		Values as bytes.
 *
 * Group keys of most types are equal when their bytes are, which is far cheaper to
 * test than calling the type's operator.  Where equal values may have different
 * bytes (numeric 1.0 and 1.00), the greatest image stands for all of them, so that
 * the order in which they came does not show.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "maintain/image.h"
#include "maintain/numeric_image.h"

/* Looks a type up. */
ImageType
image_type(Oid type)
{
	ImageType	result;

	get_typlenbyval(type, &result.length, &result.by_value);
	result.is_numeric = getBaseType(type) == NUMERICOID;
	return result;
}

/* The value without compression or indirection. */
Datum
image_plain(ImageType type, Datum value)
{
	struct varlena *pointer = (struct varlena *) DatumGetPointer(value);

	if (type.length != -1)
		return value;
	if (!VARATT_IS_COMPRESSED(pointer) && !VARATT_IS_EXTERNAL(pointer))
		return value;
	return PointerGetDatum(detoast_attr(pointer));
}

/* Where the bytes are, and how many. */
static inline const char *
image_bytes(ImageType type, Datum *value, Size *size)
{
	if (type.by_value)
	{
		*size = sizeof(Datum);
		return (const char *) value;
	}
	if (type.length == -1)
	{
		*size = VARSIZE_ANY_EXHDR(DatumGetPointer(*value));
		return VARDATA_ANY(DatumGetPointer(*value));
	}
	*size = type.length > 0 ? type.length : strlen(DatumGetCString(*value)) + 1;
	return DatumGetPointer(*value);
}

/* Compares images. */
int
image_compare(ImageType type, Datum a, Datum b)
{
	Size		a_size;
	Size		b_size;
	const char *a_bytes = image_bytes(type, &a, &a_size);
	const char *b_bytes = image_bytes(type, &b, &b_size);
	int			order = 0;

	if (type.is_numeric)
		order = numeric_image_dscale(a) - numeric_image_dscale(b);
	if (order == 0)
		order = memcmp(a_bytes, b_bytes, Min(a_size, b_size));
	if (order != 0)
		return order;
	return a_size == b_size ? 0 : (a_size < b_size ? -1 : 1);
}

/* What datumCopy would need. */
Size
image_size(ImageType type, Datum value)
{
	return type.by_value ? 0 : datumGetSize(value, false, type.length);
}

/* Hashes the image. */
uint32
image_hash(ImageType type, Datum value)
{
	Size		size;
	const char *bytes = image_bytes(type, &value, &size);

	return hash_bytes((const unsigned char *) bytes, (int) size);
}
