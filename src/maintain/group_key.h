/*
 * group_key.h
 *		The keys of a view's groups: reading them from a row, hashing, comparing.
 */
#ifndef DELTAFLOW_MAINTAIN_GROUP_KEY_H
#define DELTAFLOW_MAINTAIN_GROUP_KEY_H

#include "access/skey.h"
#include "utils/sortsupport.h"

#include "maintain/image.h"
#include "view/view_spec.h"

typedef enum KeyFloat
{
	KEY_NOT_FLOAT,
	KEY_FLOAT4,
	KEY_FLOAT8
} KeyFloat;

/* One key column. */
typedef struct KeyPart
{
	ImageType	type;
	int			input;			/* column of the input row */
	AttrNumber	attnum;			/* column of the state table */
	bool		by_image;		/* equal exactly when the images are */
	KeyFloat	floating;
	Oid			collation;
	FmgrInfo	equal;
	FmgrInfo	hash;			/* unused when by_image */
	SortSupportData order;
} KeyPart;

typedef struct GroupKeys
{
	int			nparts;
	bool		all_by_value;	/* every part is by value and by image: compare as integers */
	bool		has_representative; /* some part is not by image */
	KeyPart    *parts;
} GroupKeys;

/* Looks the types' functions up; lives in CurrentMemoryContext. */
extern GroupKeys *group_keys_create(const ViewSpec *spec);

/*
 * Takes the key out of an input row into keys/nulls in comparable form: -0 is 0,
 * one NaN, nothing toasted (scratch copies in CurrentMemoryContext), NULL has
 * datum 0.  Returns the hash.
 */
extern uint32 group_keys_read(const GroupKeys *keys, const Datum *input, const bool *input_null,
							  Datum *values, bool *nulls);

/* The same of a row of the state table, by attnum - 1. */
extern uint32 group_keys_read_stored(const GroupKeys *keys, const Datum *columns, const bool *isnull,
									 Datum *values, bool *nulls);

/* The order of the state table's index, NULLs last. */
extern int	group_keys_compare(const GroupKeys *keys, const Datum *a, const bool *a_null,
							   const Datum *b, const bool *b_null);

extern bool group_keys_equal_slow(const GroupKeys *keys, const Datum *a, const bool *a_null,
								  const Datum *b, const bool *b_null);

/* Are two keys equal, NULL being equal to NULL? */
static inline bool
group_keys_equal(const GroupKeys *keys, const Datum *a, const bool *a_null,
				 const Datum *b, const bool *b_null)
{
	if (!keys->all_by_value)
		return group_keys_equal_slow(keys, a, a_null, b, b_null);
	for (int i = 0; i < keys->nparts; i++)
	{
		if (a[i] != b[i] || a_null[i] != b_null[i])
			return false;
	}
	return true;
}

#endif							/* DELTAFLOW_MAINTAIN_GROUP_KEY_H */
