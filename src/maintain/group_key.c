/*
 * group_key.c
 *		The keys of a view's groups.
 *
 * In comes an input row; out comes the key in comparable form with its hash.
 * Three ways to compare a part, the cheapest that is right for its type:
 *
 *		by value and by image	as integers (int, timestamp, date, bool, float, ...)
 *		by image				as bytes (text, uuid, bytea, ...)
 *		else					the type's equality and hash functions (numeric,
 *								nondeterministic collations, intervals, ...)
 *
 * Floats are by image because group_keys_read makes equal floats the same bits.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "maintain/group_key.h"

/* Which floating type, if any, looking through domains. */
static KeyFloat
floating_type(Oid type)
{
	switch (getBaseType(type))
	{
		case FLOAT4OID:
			return KEY_FLOAT4;
		case FLOAT8OID:
			return KEY_FLOAT8;
		default:
			return KEY_NOT_FLOAT;
	}
}

/* Prepares one part. */
static void
key_part_init(KeyPart *part, const GroupKey *key)
{
	part->type = image_type(key->column.type);
	part->input = key->input;
	part->attnum = key->column.attnum;
	part->floating = floating_type(key->column.type);
	part->by_image = key->equal_image || part->floating != KEY_NOT_FLOAT;
	part->collation = key->column.collation;
	fmgr_info(key->eq_function, &part->equal);

	if (!part->by_image)
	{
		if (!OidIsValid(key->hash_function))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot keep groups by column \"%s\"", key->column.name),
					 errdetail("Type %s has no hash function.", format_type_be(key->column.type)),
					 errhint("Group by a cast of it to text.")));
		fmgr_info(key->hash_function, &part->hash);
	}

	memset(&part->order, 0, sizeof(SortSupportData));
	part->order.ssup_cxt = CurrentMemoryContext;
	part->order.ssup_collation = key->column.collation;
	part->order.ssup_nulls_first = false;
	PrepareSortSupportFromOrderingOp(key->sort_operator, &part->order);
}

/* Prepares all parts. */
GroupKeys *
group_keys_create(const ViewSpec *spec)
{
	GroupKeys  *keys = palloc0(sizeof(GroupKeys));

	keys->nparts = spec->nkeys;
	keys->parts = palloc0(Max(spec->nkeys, 1) * sizeof(KeyPart));
	keys->all_by_value = true;
	for (int i = 0; i < spec->nkeys; i++)
	{
		KeyPart    *part = &keys->parts[i];

		key_part_init(part, &spec->keys[i]);
		if (!part->by_image)
			keys->has_representative = true;
		if (!part->by_image || !part->type.by_value)
			keys->all_by_value = false;
	}
	return keys;
}

/* Equal floats get the same bits. */
static Datum
canonical_float(KeyFloat floating, Datum value)
{
	if (floating == KEY_FLOAT4)
	{
		float4		number = DatumGetFloat4(value);

		return Float4GetDatum(isnan(number) ? get_float4_nan() : number == 0 ? 0 : number);
	}
	else
	{
		float8		number = DatumGetFloat8(value);

		return Float8GetDatum(isnan(number) ? get_float8_nan() : number == 0 ? 0 : number);
	}
}

/* Stirs one part's bits into the hash (the multiply and shift of MurmurHash3's finaliser). */
static inline uint64
hash_stir(uint64 hash, uint64 bits)
{
	hash = (hash ^ bits) * UINT64CONST(0xff51afd7ed558ccd);
	return hash ^ (hash >> 32);
}

/* The bits of one part that are not NULL. */
static uint64
key_part_bits(KeyPart *part, Datum value)
{
	if (!part->by_image)
		return DatumGetUInt32(FunctionCall1Coll(&part->hash, part->collation, value));
	return part->type.by_value ? (uint64) value : image_hash(part->type, value);
}

/* Takes the key out of an input row, or of a row of the state table: inlined for each. */
static pg_attribute_always_inline uint32
read_keys(const GroupKeys *keys, const Datum *input, const bool *input_null, bool stored,
		  Datum *values, bool *nulls)
{
	uint64		hash = UINT64CONST(0x9e3779b97f4a7c15);

	for (int i = 0; i < keys->nparts; i++)
	{
		KeyPart    *part = &keys->parts[i];
		int			column = stored ? part->attnum - 1 : part->input;
		Datum		value = input[column];

		nulls[i] = input_null[column];
		if (unlikely(nulls[i]))
		{
			values[i] = (Datum) 0;
			hash = hash_stir(hash, UINT64CONST(0xc4ceb9fe1a85ec53));
			continue;
		}
		if (part->floating != KEY_NOT_FLOAT)
			value = canonical_float(part->floating, value);
		else if (!part->type.by_value)
			value = image_plain(part->type, value);
		values[i] = value;
		hash = hash_stir(hash, key_part_bits(part, value));
	}
	return (uint32) (hash ^ (hash >> 29));
}

/* Takes the key out of an input row: see the header. */
uint32
group_keys_read(const GroupKeys *keys, const Datum *input, const bool *input_null,
				Datum *values, bool *nulls)
{
	return read_keys(keys, input, input_null, false, values, nulls);
}

/* Takes the key out of a stored row: see the header. */
uint32
group_keys_read_stored(const GroupKeys *keys, const Datum *columns, const bool *isnull,
					   Datum *values, bool *nulls)
{
	return read_keys(keys, columns, isnull, true, values, nulls);
}

/* Equality for keys that are not all plain integers. */
bool
group_keys_equal_slow(const GroupKeys *keys, const Datum *a, const bool *a_null,
					  const Datum *b, const bool *b_null)
{
	for (int i = 0; i < keys->nparts; i++)
	{
		KeyPart    *part = &keys->parts[i];

		if (a_null[i] || b_null[i])
		{
			if (a_null[i] != b_null[i])
				return false;
		}
		else if (!part->by_image)
		{
			if (!DatumGetBool(FunctionCall2Coll(&part->equal, part->collation, a[i], b[i])))
				return false;
		}
		else if (part->type.by_value ? a[i] != b[i] : image_compare(part->type, a[i], b[i]) != 0)
			return false;
	}
	return true;
}

/* The order of the state table's index. */
int
group_keys_compare(const GroupKeys *keys, const Datum *a, const bool *a_null,
				   const Datum *b, const bool *b_null)
{
	for (int i = 0; i < keys->nparts; i++)
	{
		int			order = ApplySortComparator(a[i], a_null[i], b[i], b_null[i],
												&keys->parts[i].order);

		if (order != 0)
			return order;
	}
	return 0;
}
