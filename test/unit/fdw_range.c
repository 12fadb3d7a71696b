/*
 * fdw_range.c
 *		Conditions as ranges of offsets: chosen cases, and random trees against
 *		their meaning record by record.
 *
 * LINK: src/fdw/range.c
 */
#include "postgres.h"

#include <time.h>

#include "access/stratnum.h"

#include "fdw/range.h"
#include "tap.h"

/* Frees a tree. */
static void
release(RangeNode *node)
{
	for (int i = 0; i < node->nchildren; i++)
		release(node->children[i]);
	free(node->children);
	free(node->values);
	free(node);
}

/* What range.c takes from the server. */
void *
palloc(Size size)
{
	return malloc(size);
}

#undef qsort
void
pg_qsort(void *base, size_t n, size_t size, int (*compare) (const void *, const void *))
{
	qsort(base, n, size, compare);
}

#define PARTITIONS	4
#define OFFSETS		12

/* The timestamp of a record: not rising. */
static int64
time_of(int32 partition, int64 offset)
{
	return 100 + (offset * 7 + partition * 3) % 11;
}

/* A comparison with one value. */
static RangeNode *
comparison(RangeOp op, int strategy, int64 value)
{
	RangeNode  *node = calloc(1, sizeof(RangeNode));

	node->op = op;
	node->strategy = strategy;
	node->nvalues = 1;
	node->values = malloc(3 * sizeof(int64));
	node->values[0] = value;
	return node;
}

/* AND, OR. */
static RangeNode *
junction(RangeOp op, RangeNode *left, RangeNode *right)
{
	RangeNode  *node = calloc(1, sizeof(RangeNode));

	node->op = op;
	node->nchildren = 2;
	node->children = malloc(2 * sizeof(RangeNode *));
	node->children[0] = left;
	node->children[1] = right;
	return node;
}

/* A random tree. */
static RangeNode *
random_tree(int depth)
{
	static const RangeOp leaves[] = {RANGE_PARTITION, RANGE_OFFSET, RANGE_TIME};
	RangeNode  *node;
	RangeOp		op;

	if (depth > 0 && rand() % 3 > 0)
		return junction(rand() % 2 ? RANGE_AND : RANGE_OR, random_tree(depth - 1), random_tree(depth - 1));
	op = leaves[rand() % 3];
	node = comparison(op, rand() % 5 + 1, 0);
	node->nvalues = rand() % 8 == 0 ? 0 : rand() % 3 + 1;
	for (int i = 0; i < node->nvalues; i++)
		node->values[i] = op == RANGE_TIME ? 98 + rand() % 16 : op == RANGE_OFFSET ? rand() % 16 - 2 : rand() % 6 - 1;
	return node;
}

/* Whether left compares with right as the strategy says. */
static bool
compares(int strategy, int64 left, int64 right)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
			return left < right;
		case BTLessEqualStrategyNumber:
			return left <= right;
		case BTEqualStrategyNumber:
			return left == right;
		case BTGreaterEqualStrategyNumber:
			return left >= right;
		default:
			return left > right;
	}
}

/* What the conditions mean for one record. */
static bool
holds(const RangeNode *node, int32 partition, int64 offset)
{
	int64		value = node->op == RANGE_PARTITION ? partition :
		node->op == RANGE_OFFSET ? offset : time_of(partition, offset);

	if (node->op == RANGE_AND)
		return holds(node->children[0], partition, offset) && holds(node->children[1], partition, offset);
	if (node->op == RANGE_OR)
		return holds(node->children[0], partition, offset) || holds(node->children[1], partition, offset);
	for (int i = 0; i < node->nvalues; i++)
		if (compares(node->strategy, value, node->values[i]))
			return true;
	return false;
}

/* Whether the region holds the record: not before the first one with timestamp >= since. */
static bool
contains(Region region, int32 partition, int64 offset)
{
	int64		first = 0;

	if (offset < region.from || offset >= region.upto)
		return false;
	while (first < OFFSETS && time_of(partition, first) < region.since)
		first++;
	return offset >= first;
}

/* No record for which the tree holds is outside its partition's region. */
static bool
covers(const RangeNode *tree)
{
	for (int32 partition = 0; partition < PARTITIONS; partition++)
		for (int64 offset = 0; offset < OFFSETS; offset++)
			if (holds(tree, partition, offset) &&
				!contains(range_of_partition(tree, partition), partition, offset))
				return false;
	return true;
}

/* One region as expected. */
static bool
has_region(const RangeNode *tree, int32 partition, int64 from, int64 upto)
{
	Region		region = range_of_partition(tree, partition);

	return from >= upto ? region_is_empty(region) : region.from == from && region.upto == upto;
}

/* The same, of a tree made for it. */
static bool
is_region(RangeNode *tree, int32 partition, int64 from, int64 upto)
{
	bool		result = has_region(tree, partition, from, upto);

	release(tree);
	return result;
}

int
main(void)
{
	unsigned	seed = (unsigned) time(NULL);
	RangeNode  *tree;
	int			uncovered = 0;
	int			n;
	int32	   *named;

	ok(is_region(calloc(1, sizeof(RangeNode)), 3, 0, PG_INT64_MAX), "nothing said is everything");
	ok(is_region(comparison(RANGE_OFFSET, BTLessStrategyNumber, 5), 0, 0, 5), "offset < 5");
	ok(is_region(comparison(RANGE_OFFSET, BTGreaterStrategyNumber, 5), 0, 6, PG_INT64_MAX), "offset > 5");
	ok(is_region(comparison(RANGE_OFFSET, BTGreaterStrategyNumber, PG_INT64_MAX), 0, 0, 0), "offset > the last one is none");
	ok(is_region(comparison(RANGE_OFFSET, BTGreaterEqualStrategyNumber, PG_INT64_MIN), 0, 0, PG_INT64_MAX), "negative offsets say nothing from below");
	ok(is_region(comparison(RANGE_OFFSET, BTLessEqualStrategyNumber, -1), 0, 0, 0), "and none from above");

	tree = junction(RANGE_OR,
					junction(RANGE_AND, comparison(RANGE_PARTITION, BTEqualStrategyNumber, 1), comparison(RANGE_OFFSET, BTGreaterEqualStrategyNumber, 10)),
					junction(RANGE_AND, comparison(RANGE_PARTITION, BTEqualStrategyNumber, 2), comparison(RANGE_OFFSET, BTEqualStrategyNumber, 77)));
	ok(has_region(tree, 0, 0, 0) && has_region(tree, 1, 10, PG_INT64_MAX) && has_region(tree, 2, 77, 78), "an offset per partition");
	named = range_named_partitions(tree, &n);
	ok(n == 2 && named[0] == 1 && named[1] == 2, "the partitions named");
	free(named);
	release(tree);

	srand(seed);
	printf("# seed %u\n", seed);
	for (int i = 0; i < 20000; i++)
	{
		tree = random_tree(4);
		uncovered += !covers(tree);
		release(tree);
	}
	ok(uncovered == 0, "no record wanted is outside, in 20000 random trees (%d are)", uncovered);
	return done_testing();
}
