/*
 * group_cache.c
 *		The groups that a view has in memory.
 *
 *	hash table (simplehash)          slabs of equal blocks, filled in order
 *	┌──────┬────────┐            ┌────────┬──────┬───────┬──────────────┐
 *	│ hash │ number ├───────────>│ header │ keys │ nulls │ states       │
 *	└──────┴────────┘            └────────┴──────┴───────┴──────────────┘
 *
 * Rows keep coming back to the groups they came to a moment ago.  A small table of
 * those, one per hash residue, stays in the processor's own cache however many
 * groups there are, and answers before the big one is touched.
 *
 * A group's number says which block of which slab it is.  Groups are only added
 * while an epoch is open.  Between epochs, when none is dirty, the cache is cut
 * back to its bound: kept groups move down into the places of forgotten ones, the
 * table is built anew, and slabs behind the last group are freed.
 *
 * Memory: table, slabs and lists in the cache's context; by-reference keys and what
 * aggregate states point to in aggregates->context.  group_cache_bytes counts all
 * of it as the allocator does.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "compat.h"
#include "maintain/group_cache.h"

typedef struct CacheSlot
{
	uint32		number;			/* of the group */
	uint32		hash;
	char		status;
} CacheSlot;

/* The table searches for this number: the key in cache->probe_keys. */
#define PROBE_NUMBER	PG_UINT32_MAX

static inline bool slot_matches(GroupCache *cache, uint32 number);

#define SH_PREFIX			slots
#define SH_ELEMENT_TYPE		CacheSlot
#define SH_KEY_TYPE			uint32
#define SH_KEY				number
#define SH_HASH_KEY(tb, key)	(key)
#define SH_EQUAL(tb, a, b)	slot_matches((GroupCache *) (tb)->private_data, a)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a)	((a)->hash)
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define CACHE_LINE			64
#define PREFETCH_BYTES		(4 * CACHE_LINE)
#define SLAB_BYTES			(64 * 1024)
#define INITIAL_SLOTS		256
#define RECENT_GROUPS		4096	/* a power of two */
#define SHRINK_SAMPLE		1024	/* groups looked at to choose which windows to forget */
#define SHRINK_TO_PERCENT	75		/* of the bound, so that not every epoch shrinks */

/* A group met lately, at the place its hash has. */
typedef struct RecentGroup
{
	FoldGroup  *group;			/* NULL: none */
	uint32		hash;
} RecentGroup;

struct GroupCache
{
	const GroupKeys *keys;
	Aggregates *aggregates;
	MemoryContext context;

	slots_hash *table;
	char	  **slabs;
	uint32		nslabs;
	uint32		slabs_capacity;
	Size		group_size;		/* of a group's block */
	int			slab_shift;		/* log2 of the groups in a slab */
	uint32		ngroups;

	FoldGroup	  **dirty;
	int64		ndirty;
	int64		dirty_capacity;

	RecentGroup recent[RECENT_GROUPS];

	/* what the table is being searched for */
	const Datum *probe_keys;
	const bool *probe_nulls;
};

/* Where group `number` is. */
static inline FoldGroup *
group_at(const GroupCache *cache, uint32 number)
{
	uint32		in_slab = number & ((1U << cache->slab_shift) - 1);

	return (FoldGroup *) (TYPEALIGN(CACHE_LINE, cache->slabs[number >> cache->slab_shift]) +
						  (Size) in_slab * cache->group_size);
}

/* Is that group the one being searched for? */
static inline bool
slot_matches(GroupCache *cache, uint32 number)
{
	FoldGroup	   *group = group_at(cache, number);

	return group_keys_equal(cache->keys, group->keys, group_nulls(cache->keys, group),
							cache->probe_keys, cache->probe_nulls);
}

/* The table and lists of a cache without groups. */
static void
cache_begin(GroupCache *cache)
{
	cache->table = slots_create(cache->context, INITIAL_SLOTS, cache);
	cache->slabs_capacity = 16;
	cache->slabs = MemoryContextAlloc(cache->context, cache->slabs_capacity * sizeof(char *));
	cache->nslabs = 0;
	cache->ngroups = 0;
	cache->dirty_capacity = 256;
	cache->dirty = MemoryContextAlloc(cache->context, cache->dirty_capacity * sizeof(FoldGroup *));
	cache->ndirty = 0;
	memset(cache->recent, 0, sizeof(cache->recent));
}

/* Where a group with this hash stands if it was met lately. */
static inline const RecentGroup *
recent_place(const GroupCache *cache, uint32 hash)
{
	return &cache->recent[hash & (RECENT_GROUPS - 1)];
}

/* Was a group with this hash met lately? */
static inline bool
is_recent(const GroupCache *cache, uint32 hash)
{
	const RecentGroup *recent = recent_place(cache, hash);

	return recent->group != NULL && recent->hash == hash;
}

/* Notes that a group was met. */
static inline FoldGroup *
note_recent(GroupCache *cache, FoldGroup *group, uint32 hash)
{
	cache->recent[hash & (RECENT_GROUPS - 1)] = (RecentGroup) {group, hash};
	return group;
}

/* A group's block: whole cache lines where that wastes little. */
static Size
block_size(Size size)
{
	Size		lines = TYPEALIGN(CACHE_LINE, size);

	return lines - size <= size / 8 ? lines : size;
}

/* Makes an empty cache. */
GroupCache *
group_cache_create(const GroupKeys *keys, Aggregates *aggregates)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "deltaflow group cache",
												  ALLOCSET_DEFAULT_SIZES);
	GroupCache *cache = palloc0(sizeof(GroupCache));

	cache->keys = keys;
	cache->aggregates = aggregates;
	cache->context = context;
	cache->group_size = block_size(aggregates->group_size);
	while ((cache->group_size << (cache->slab_shift + 1)) <= SLAB_BYTES)
		cache->slab_shift++;
	cache_begin(cache);
	return cache;
}

/* Frees the cache. */
void
group_cache_destroy(GroupCache *cache)
{
	MemoryContextDelete(cache->context);
	pfree(cache);
}

/* Forgets everything. */
void
group_cache_reset(GroupCache *cache)
{
	MemoryContextReset(cache->context);
	MemoryContextReset(cache->aggregates->context);
	cache_begin(cache);
}

/* How many groups there are. */
int64
group_cache_count(const GroupCache *cache)
{
	return cache->ngroups;
}

/* Any of them. */
FoldGroup *
group_cache_nth(const GroupCache *cache, int64 k)
{
	return group_at(cache, (uint32) k);
}

/* All memory held, as the allocator counts it. */
Size
group_cache_bytes(const GroupCache *cache)
{
	return MemoryContextMemAllocated(cache->context, true) +
		MemoryContextMemAllocated(cache->aggregates->context, true);
}

/* Brings the table's line for this hash closer. */
void
group_cache_prefetch(const GroupCache *cache, uint32 hash)
{
	if (!is_recent(cache, hash))
		__builtin_prefetch(&cache->table->data[hash & cache->table->sizemask]);
}

/* Brings the group that probably has this hash closer: the one in the hash's own place. */
void
group_cache_prefetch_group(const GroupCache *cache, uint32 hash)
{
	const CacheSlot *slot = &cache->table->data[hash & cache->table->sizemask];

	if (is_recent(cache, hash))
		return;
	if (slot->status == slots_SH_IN_USE && slot->hash == hash)
	{
		const char *group = (const char *) group_at(cache, slot->number);

		for (Size at = 0; at < Min(cache->group_size, PREFETCH_BYTES); at += CACHE_LINE)
			__builtin_prefetch(group + at);
	}
}

/* Finds a group. */
FoldGroup *
group_cache_find(GroupCache *cache, const Datum *keys, const bool *nulls, uint32 hash)
{
	CacheSlot  *slot;

	if (is_recent(cache, hash))
	{
		FoldGroup  *group = recent_place(cache, hash)->group;

		if (group_keys_equal(cache->keys, group->keys, group_nulls(cache->keys, group), keys, nulls))
			return group;
	}
	cache->probe_keys = keys;
	cache->probe_nulls = nulls;
	slot = slots_lookup_hash(cache->table, PROBE_NUMBER, hash);
	return slot == NULL ? NULL : note_recent(cache, group_at(cache, slot->number), hash);
}

/* A block for one more group. */
static uint32
take_block(GroupCache *cache)
{
	uint32		number = cache->ngroups;

	if ((number >> cache->slab_shift) >= cache->nslabs)
	{
		if (number == PROBE_NUMBER - 1)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many groups in one epoch")));
		if (cache->nslabs == cache->slabs_capacity)
		{
			cache->slabs_capacity *= 2;
			cache->slabs = repalloc_huge(cache->slabs, cache->slabs_capacity * sizeof(char *));
		}
		cache->slabs[cache->nslabs] =
			MemoryContextAlloc(cache->context,
							   (cache->group_size << cache->slab_shift) + CACHE_LINE);
		cache->nslabs++;
	}
	cache->ngroups++;
	return number;
}

/* A copy of a key part in the groups' memory. */
static Datum
keep_key(GroupCache *cache, int part, Datum value, bool isnull)
{
	ImageType	type = cache->keys->parts[part].type;
	MemoryContext old;

	if (isnull || type.by_value)
		return value;
	old = MemoryContextSwitchTo(cache->aggregates->context);
	value = datumCopy(value, false, type.length);
	MemoryContextSwitchTo(old);
	return value;
}

/* Makes a group. */
FoldGroup *
group_cache_add(GroupCache *cache, const Datum *keys, const bool *nulls, uint32 hash)
{
	uint32		number = take_block(cache);
	FoldGroup	   *group = group_at(cache, number);
	CacheSlot  *slot;
	bool		found;

	group->hash = hash;
	group->flags = 0;
	ItemPointerSetInvalid(&group->tid);
	group->xmin = InvalidTransactionId;
	group->order = GROUP_ORDER_NONE;
	group->late_limit = DT_NOEND;
	for (int i = 0; i < cache->keys->nparts; i++)
		group->keys[i] = keep_key(cache, i, keys[i], nulls[i]);
	memcpy(group_nulls(cache->keys, group), nulls, cache->keys->nparts * sizeof(bool));
	aggregates_init(cache->aggregates, group);

	cache->probe_keys = keys;
	cache->probe_nulls = nulls;
	slot = slots_insert_hash(cache->table, PROBE_NUMBER, hash, &found);
	Assert(!found);
	slot->number = number;
	return note_recent(cache, group, hash);
}

/* Makes a value the representative of a key part. */
static void
set_key(GroupCache *cache, FoldGroup *group, int part, Datum value)
{
	Datum		before = group->keys[part];

	group->keys[part] = keep_key(cache, part, value, false);
	if (!cache->keys->parts[part].type.by_value)
		pfree(DatumGetPointer(before));
}

/* A row with an equal key was folded. */
void
group_cache_raise_key(GroupCache *cache, FoldGroup *group, const Datum *keys, const bool *nulls)
{
	for (int i = 0; i < cache->keys->nparts; i++)
	{
		const KeyPart *part = &cache->keys->parts[i];

		if (nulls[i] || part->by_image ||
			image_compare(part->type, keys[i], group->keys[i]) <= 0)
			continue;
		set_key(cache, group, i, keys[i]);
		group->flags |= GROUP_NEW_KEY;
	}
}

/* The group's row was found. */
void
group_cache_meet_key(GroupCache *cache, FoldGroup *group, const Datum *stored, const bool *nulls)
{
	group->flags &= ~GROUP_NEW_KEY;
	for (int i = 0; i < cache->keys->nparts; i++)
	{
		const KeyPart *part = &cache->keys->parts[i];
		int			column = part->attnum - 1;
		Datum		value;
		int			order;

		if (nulls[column] || part->by_image)
			continue;
		value = image_plain(part->type, stored[column]);
		order = image_compare(part->type, value, group->keys[i]);
		if (order > 0)
			set_key(cache, group, i, value);
		else if (order < 0)
			group->flags |= GROUP_NEW_KEY;
	}
}

/* Notes that a group is to be written. */
void
group_cache_mark_dirty(GroupCache *cache, FoldGroup *group)
{
	if (group->flags & GROUP_DIRTY)
		return;
	if (cache->ndirty == cache->dirty_capacity)
	{
		cache->dirty_capacity *= 2;
		cache->dirty = repalloc_huge(cache->dirty, cache->dirty_capacity * sizeof(FoldGroup *));
	}
	cache->dirty[cache->ndirty++] = group;
	group->flags |= GROUP_DIRTY;
}

/* The groups to be written. */
int64
group_cache_dirty(const GroupCache *cache, FoldGroup ***groups)
{
	*groups = cache->dirty;
	return cache->ndirty;
}

/* Says that all of them have been written. */
void
group_cache_clean(GroupCache *cache)
{
	for (int64 i = 0; i < cache->ndirty; i++)
		cache->dirty[i]->flags &= ~(GROUP_DIRTY | GROUP_NEW_KEY);
	cache->ndirty = 0;
}

/* Frees what a group points to. */
static void
release_group(GroupCache *cache, FoldGroup *group)
{
	bool	   *nulls = group_nulls(cache->keys, group);

	aggregates_release(cache->aggregates, group);
	for (int i = 0; i < cache->keys->nparts; i++)
	{
		if (!cache->keys->parts[i].type.by_value && !nulls[i])
			pfree(DatumGetPointer(group->keys[i]));
	}
}

/* For qsort. */
static int
compare_int64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

/*
 * An order such that forgetting the groups up to it leaves about `keep` of all:
 * estimated from a sample.  Groups of the highest order are not given up as long as
 * there are others.
 */
static int64
order_to_forget(const GroupCache *cache, double keep)
{
	int64		sample[SHRINK_SAMPLE];
	uint32		n = Min(cache->ngroups, SHRINK_SAMPLE);
	uint32		cut = (uint32) ((1.0 - keep) * n);

	for (uint32 i = 0; i < n; i++)
		sample[i] = group_at(cache, (uint32) ((uint64) i * cache->ngroups / n))->order;
	qsort(sample, n, sizeof(int64), compare_int64);

	cut = Min(cut, n - 1);
	while (cut > 0 && sample[cut] == sample[n - 1])
		cut--;
	return sample[cut];
}

/* Makes the tables anew from the groups there are. */
static void
rebuild_table(GroupCache *cache)
{
	memset(cache->recent, 0, sizeof(cache->recent));
	slots_destroy(cache->table);
	cache->table = slots_create(cache->context, Max(cache->ngroups, INITIAL_SLOTS), cache);
	for (uint32 number = 0; number < cache->ngroups; number++)
	{
		FoldGroup	   *group = group_at(cache, number);
		CacheSlot  *slot;
		bool		found;

		cache->probe_keys = group->keys;
		cache->probe_nulls = group_nulls(cache->keys, group);
		slot = slots_insert_hash(cache->table, PROBE_NUMBER, group->hash, &found);
		Assert(!found);
		slot->number = number;
	}
}

/* Forgets groups that are late already or not above `order`; the rest move down. */
static void
forget_groups(GroupCache *cache, int64 order, TimestampTz watermark, int64 *forgotten)
{
	uint32		kept = 0;
	uint32		slabs_needed;

	for (uint32 number = 0; number < cache->ngroups; number++)
	{
		FoldGroup	   *group = group_at(cache, number);

		Assert(!(group->flags & GROUP_DIRTY));
		if (group->order <= order || group->late_limit <= watermark)
		{
			*forgotten = Max(*forgotten, group->order);
			release_group(cache, group);
			continue;
		}
		if (kept != number)
			memcpy(group_at(cache, kept), group, cache->group_size);
		kept++;
	}

	cache->ngroups = kept;
	slabs_needed = (kept + (1U << cache->slab_shift) - 1) >> cache->slab_shift;
	while (cache->nslabs > slabs_needed)
		pfree(cache->slabs[--cache->nslabs]);
	rebuild_table(cache);
}

/*
 * Cuts the cache back: see the header.  When forgetting the lowest orders does not
 * bring the size down (one large window, fragmented memory, states that cannot be
 * freed), everything goes.
 */
bool
group_cache_shrink(GroupCache *cache, Size bytes, TimestampTz watermark, int64 *forgotten)
{
	Size		held = group_cache_bytes(cache);

	Assert(cache->ndirty == 0);
	if (held <= bytes || cache->ngroups == 0)
		return false;

	if (!cache->aggregates->opaque)
	{
		double		keep = (double) bytes * SHRINK_TO_PERCENT / 100 / held;

		forget_groups(cache, order_to_forget(cache, keep), watermark, forgotten);
		if (group_cache_bytes(cache) <= bytes)
			return true;
	}

	for (uint32 number = 0; number < cache->ngroups; number++)
		*forgotten = Max(*forgotten, group_at(cache, number)->order);
	group_cache_reset(cache);
	return true;
}
