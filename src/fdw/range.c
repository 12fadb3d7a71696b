/*
 * range.c
 *		Conditions on partition, offset and timestamp as ranges of offsets.
 *
 * In goes a tree of conditions, out comes for any partition the smallest region
 *
 *		  from           since                upto
 *		---|---------------|-------------------|--->  offset
 *						   first record with timestamp >= since
 *
 * that holds every record for which the tree can be true: AND intersects, OR
 * takes the hull, what is not understood is everything.  It is a superset, never
 * less: the conditions themselves stay in the plan and decide row by row.
 *
 * A timestamp condition only ever moves the beginning.  Timestamps of a log need
 * not rise, so a record with a later timestamp says nothing about those behind
 * it; but before the first record with timestamp >= t there is none by definition.
 *
 * Pure: plain structs, no catalog, no client, no clock.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "lib/qunique.h"

#include "fdw/range.h"

static const Region nothing = {0, 0, PG_INT64_MIN};

Region
region_everything(void)
{
	return (Region) {0, PG_INT64_MAX, PG_INT64_MIN};
}

Region
region_intersect(Region a, Region b)
{
	return (Region) {Max(a.from, b.from), Min(a.upto, b.upto), Max(a.since, b.since)};
}

/* The smallest region that holds both. */
static Region
region_hull(Region a, Region b)
{
	if (region_is_empty(a))
		return b;
	if (region_is_empty(b))
		return a;
	return (Region) {Min(a.from, b.from), Max(a.upto, b.upto), Min(a.since, b.since)};
}

/* The offset behind this one; the last possible offset has none. */
static int64
behind(int64 offset)
{
	return offset == PG_INT64_MAX ? offset : offset + 1;
}

/* Offsets that compare with value as the strategy says. */
static Region
region_of_offset(int strategy, int64 value)
{
	Region		region = region_everything();

	switch (strategy)
	{
		case BTLessStrategyNumber:
			region.upto = value;
			break;
		case BTLessEqualStrategyNumber:
			region.upto = behind(value);
			break;
		case BTEqualStrategyNumber:
			region.from = Max(value, 0);
			region.upto = behind(value);
			break;
		case BTGreaterEqualStrategyNumber:
			region.from = Max(value, 0);
			break;
		case BTGreaterStrategyNumber:
			region.from = value < 0 ? 0 : behind(value);
			break;
	}
	return region;
}

/* Whether the partition compares with value as the strategy says. */
static bool
partition_matches(int strategy, int64 partition, int64 value)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
			return partition < value;
		case BTLessEqualStrategyNumber:
			return partition <= value;
		case BTEqualStrategyNumber:
			return partition == value;
		case BTGreaterEqualStrategyNumber:
			return partition >= value;
		default:
			return partition > value;
	}
}

/* Records whose timestamp compares with value as the strategy says: upper bounds say nothing. */
static Region
region_of_time(int strategy, int64 value)
{
	Region		region = region_everything();

	if (strategy >= BTEqualStrategyNumber && value > 0)
		region.since = value;
	return region;
}

/* One comparison with one value. */
static Region
region_of_comparison(const RangeNode *node, int64 value, int32 partition)
{
	switch (node->op)
	{
		case RANGE_OFFSET:
			return region_of_offset(node->strategy, value);
		case RANGE_TIME:
			return region_of_time(node->strategy, value);
		default:
			return partition_matches(node->strategy, partition, value) ? region_everything() : nothing;
	}
}

Region
range_of_partition(const RangeNode *node, int32 partition)
{
	Region		region = node->op == RANGE_ALL || node->op == RANGE_AND ? region_everything() : nothing;

	for (int i = 0; i < node->nchildren; i++)
	{
		Region		child = range_of_partition(node->children[i], partition);

		region = node->op == RANGE_AND ? region_intersect(region, child) : region_hull(region, child);
	}
	for (int i = 0; i < node->nvalues; i++)
		region = region_hull(region, region_of_comparison(node, node->values[i], partition));
	return region;
}

/* Orders partitions. */
static int
compare_partitions(const void *a, const void *b)
{
	int32		left = *(const int32 *) a;
	int32		right = *(const int32 *) b;

	return (left > right) - (left < right);
}

/* Values of partition conditions below node: counts them, and writes them when out is given. */
static int
collect_partitions(const RangeNode *node, int32 *out)
{
	int			n = 0;

	for (int i = 0; i < node->nchildren; i++)
		n += collect_partitions(node->children[i], out == NULL ? NULL : out + n);
	if (node->op != RANGE_PARTITION)
		return n;
	for (int i = 0; i < node->nvalues; i++)
	{
		if (node->values[i] < 0 || node->values[i] > PG_INT32_MAX)
			continue;
		if (out != NULL)
			out[n] = (int32) node->values[i];
		n++;
	}
	return n;
}

int32 *
range_named_partitions(const RangeNode *node, int *n)
{
	int32	   *partitions;

	*n = collect_partitions(node, NULL);
	partitions = palloc(Max(*n, 1) * sizeof(int32));
	collect_partitions(node, partitions);
	qsort(partitions, *n, sizeof(int32), compare_partitions);
	*n = qunique(partitions, *n, sizeof(int32), compare_partitions);
	return partitions;
}
