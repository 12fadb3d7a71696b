/*
 * range.h
 *		Conditions on partition, offset and timestamp as ranges of offsets.  Pure.
 */
#ifndef DELTAFLOW_FDW_RANGE_H
#define DELTAFLOW_FDW_RANGE_H

typedef enum RangeOp
{
	RANGE_ALL,					/* a condition that says nothing about positions */
	RANGE_AND,
	RANGE_OR,
	RANGE_PARTITION,			/* the rest compare with values */
	RANGE_OFFSET,
	RANGE_TIME
} RangeOp;

/* A tree of conditions.  Values are set when the scan starts, and again at a rescan. */
typedef struct RangeNode
{
	RangeOp		op;
	int			nchildren;
	struct RangeNode **children;
	int			strategy;		/* BTLessStrategyNumber ... BTGreaterStrategyNumber */
	int			nvalues;		/* true for any of them; none: compared with NULL, never true */
	int64	   *values;			/* partition, offset, or milliseconds since 1970, rounded up */
} RangeNode;

/*
 * What of one partition can satisfy the conditions: offsets [from, upto), and of
 * those only records behind the first one with timestamp >= since.
 */
typedef struct Region
{
	int64		from;
	int64		upto;
	int64		since;			/* PG_INT64_MIN: any */
} Region;

/* A superset of the positions of that partition for which the conditions hold. */
extern Region range_of_partition(const RangeNode *node, int32 partition);

extern Region region_everything(void);
extern Region region_intersect(Region a, Region b);

static inline bool
region_is_empty(Region region)
{
	return region.from >= region.upto;
}

static inline bool
region_equal(Region a, Region b)
{
	return (region_is_empty(a) && region_is_empty(b)) ||
		(a.from == b.from && a.upto == b.upto && a.since == b.since);
}

/* The partitions that conditions name, rising, without repetition; palloc'd. */
extern int32 *range_named_partitions(const RangeNode *node, int *n);

#endif							/* DELTAFLOW_FDW_RANGE_H */
