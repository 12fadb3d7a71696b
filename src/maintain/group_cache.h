/*
 * group_cache.h
 *		The groups that a view has in memory, found by key.
 *
 * A group is one allocation-free block: header, keys, aggregate states.  Blocks
 * stand in slabs and never move while an epoch is open, so pointers to them hold
 * until group_cache_shrink.
 */
#ifndef DELTAFLOW_MAINTAIN_GROUP_CACHE_H
#define DELTAFLOW_MAINTAIN_GROUP_CACHE_H

#include "datatype/timestamp.h"
#include "storage/itemptr.h"

#include "maintain/aggregate_state.h"
#include "maintain/group_key.h"

#define GROUP_STORED	0x0001	/* tid and xmin name its row in the state table */
#define GROUP_COMPLETE	0x0002	/* holds all that is known; else only what was folded since it was made */
#define GROUP_DIRTY		0x0004	/* to be written */
#define GROUP_NEW_KEY	0x0008	/* the representative of the key changed since it was stored */

typedef struct FoldGroup
{
	uint32		hash;
	TransactionId xmin;			/* who wrote the row at tid: a reused tid shows */
	ItemPointerData tid;
	uint16		flags;
	int64		order;			/* start of the window; without windows, when it was last touched */
	TimestampTz late_limit;		/* window's end + lateness: late once this <= watermark */
	Datum		keys[FLEXIBLE_ARRAY_MEMBER];	/* then null flags, then aggregate states */
} FoldGroup;

/* Of a window whose start is NULL. */
#define GROUP_ORDER_NONE	PG_INT64_MIN

typedef struct GroupCache GroupCache;

/* Both must live as long as the cache, which lives in a child of CurrentMemoryContext. */
extern GroupCache *group_cache_create(const GroupKeys *keys, Aggregates *aggregates);
extern void group_cache_destroy(GroupCache *cache);

/* NULL when there is none. */
extern FoldGroup *group_cache_find(GroupCache *cache, const Datum *keys, const bool *nulls, uint32 hash);

/* Makes a group that is not there: keys copied, aggregates at their beginning, flags 0. */
extern FoldGroup *group_cache_add(GroupCache *cache, const Datum *keys, const bool *nulls, uint32 hash);

/*
 * An equal key was folded, or was found stored (columns by attnum - 1): the greatest
 * images become the group's; GROUP_NEW_KEY when those are not what is stored.
 */
extern void group_cache_raise_key(GroupCache *cache, FoldGroup *group, const Datum *keys, const bool *nulls);
extern void group_cache_meet_key(GroupCache *cache, FoldGroup *group, const Datum *stored, const bool *nulls);

/* Hints that a group with this hash will be looked for: first its place in the table, then itself. */
extern void group_cache_prefetch(const GroupCache *cache, uint32 hash);
extern void group_cache_prefetch_group(const GroupCache *cache, uint32 hash);

/* Groups to be written, in the order they became so. */
extern void group_cache_mark_dirty(GroupCache *cache, FoldGroup *group);
extern int64 group_cache_dirty(const GroupCache *cache, FoldGroup ***groups);
extern void group_cache_clean(GroupCache *cache);

extern int64 group_cache_count(const GroupCache *cache);
extern Size group_cache_bytes(const GroupCache *cache);

/* The k-th group, from 0, for loops over all. */
extern FoldGroup *group_cache_nth(const GroupCache *cache, int64 k);

/*
 * Forgets groups, none of which may be dirty, until the rest fit: those late
 * already and the lowest orders first.  False: there was no need.  *forgotten is
 * raised to the greatest order forgotten.  All pointers to groups are void.
 */
extern bool group_cache_shrink(GroupCache *cache, Size bytes, TimestampTz watermark,
							   int64 *forgotten);

/* Forgets everything. */
extern void group_cache_reset(GroupCache *cache);

static inline bool *
group_nulls(const GroupKeys *keys, FoldGroup *group)
{
	return (bool *) (group->keys + keys->nparts);
}

static inline void *
group_state(FoldGroup *group, const Aggregate *aggregate)
{
	return (char *) group + aggregate->offset;
}

#endif							/* DELTAFLOW_MAINTAIN_GROUP_CACHE_H */
