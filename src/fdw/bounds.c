/*
 * bounds.c
 *		Limits that the engine itself sets on the next scans of a topic.
 *
 * In go positions of a pipeline, out comes for a scan that starts: the region of
 * each partition.  The limits belong to this backend and end with
 * scan_bounds_clear(), with the transaction, or with the rollback of the
 * subtransaction that set them: an error caught by a caller must not leave the
 * next SELECT bounded.
 *
 * Memory: TopTransactionContext.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "fdw/scan_bounds.h"

/* Newest first; in TopTransactionContext. */
static ScanBounds *current_bounds = NULL;
static bool callbacks_registered = false;

/* The transaction is over, and its memory with it. */
static void
forget_at_end(XactEvent event, void *arg)
{
	current_bounds = NULL;
}

/* A subtransaction is over: what it set is void when it failed, its parent's when not. */
static void
forget_at_subxact_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	for (ScanBounds **link = &current_bounds; *link != NULL;)
	{
		ScanBounds *bounds = *link;

		if (bounds->subxact == mine && event == SUBXACT_EVENT_ABORT_SUB)
		{
			*link = bounds->next;
			continue;
		}
		if (bounds->subxact == mine)
			bounds->subxact = parent;
		link = &bounds->next;
	}
}

/* A copy of positions that lives as long as the bounds. */
static KafkaPosition *
copy_positions(const KafkaPosition *positions, int64 n)
{
	KafkaPosition *copy = MemoryContextAllocHuge(TopTransactionContext, Max(n, 1) * sizeof(KafkaPosition));

	if (n > 0)
		memcpy(copy, positions, n * sizeof(KafkaPosition));
	return copy;
}

void
scan_bounds_set(Oid topic_relid, const KafkaPosition *from, int nfrom,
				const KafkaPosition *upto, int nupto)
{
	ScanBounds *bounds = MemoryContextAllocZero(TopTransactionContext, sizeof(ScanBounds));

	if (!callbacks_registered)
	{
		RegisterXactCallback(forget_at_end, NULL);
		RegisterSubXactCallback(forget_at_subxact_end, NULL);
		callbacks_registered = true;
	}
	bounds->relid = topic_relid;
	bounds->subxact = GetCurrentSubTransactionId();
	bounds->from = from == NULL ? NULL : copy_positions(from, nfrom);
	bounds->nfrom = nfrom;
	bounds->upto = copy_positions(upto, nupto);
	bounds->nupto = nupto;
	bounds->next = current_bounds;
	current_bounds = bounds;
}

/* The limits that were set for a topic. */
static ScanBounds *
bounds_that_are_set(Oid topic_relid)
{
	ScanBounds *bounds = scan_bounds_find(topic_relid);

	if (bounds == NULL)
		elog(ERROR, "no bounds are set for topic %u", topic_relid);
	return bounds;
}

void
scan_bounds_columns(Oid topic_relid, const Bitmapset *columns)
{
	ScanBounds *bounds = bounds_that_are_set(topic_relid);
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	bounds->columns = bms_copy(columns);
	MemoryContextSwitchTo(old);
}

void
scan_bounds_without(Oid topic_relid, const PositionSet *records)
{
	ScanBounds *bounds = bounds_that_are_set(topic_relid);

	bounds->without.n = records->n;
	bounds->without.positions = copy_positions(records->positions, records->n);
}

void
scan_bounds_clear(void)
{
	current_bounds = NULL;
}

ScanBounds *
scan_bounds_find(Oid topic_relid)
{
	for (ScanBounds *bounds = current_bounds; bounds != NULL; bounds = bounds->next)
		if (bounds->relid == topic_relid)
			return bounds;
	return NULL;
}

/* The offset for a partition, or otherwise. */
static int64
position_of(const KafkaPosition *positions, int n, int32 partition, int64 otherwise)
{
	for (int i = 0; i < n; i++)
		if (positions[i].partition == partition)
			return positions[i].offset;
	return otherwise;
}

Region
scan_bounds_region(const ScanBounds *bounds, int32 partition)
{
	Region		region = region_everything();

	if (bounds->from != NULL)
		region.from = position_of(bounds->from, bounds->nfrom, partition, 0);
	region.upto = position_of(bounds->upto, bounds->nupto, partition, 0);
	return region;
}
