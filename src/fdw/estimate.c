/*
 * estimate.c
 *		What the last scan of a topic in this backend saw, for the planner.
 *
 * The planner must not wait for a broker.  So a scan leaves the ranges of the
 * partitions behind, and the next plan of this backend counts with them; before
 * the first scan there is a guess.  Wrong numbers make a worse plan, never a
 * wrong answer, so nothing is ever invalidated but by the next scan.
 *
 * Memory: a context below CacheMemoryContext; one small array per topic scanned.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "fdw/routine.h"

typedef struct KnownRanges
{
	Oid			relid;			/* key */
	int			n;
	KafkaRange *ranges;
} KnownRanges;

static HTAB *known = NULL;

/* Makes the table. */
static void
make_table(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(KnownRanges);
	control.hcxt = CacheMemoryContext;
	known = hash_create("deltaflow ranges of topics", 16, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

const KafkaRange *
known_ranges(Oid relid, int *n)
{
	KnownRanges *entry = known == NULL ? NULL : hash_search(known, &relid, HASH_FIND, NULL);

	*n = entry == NULL ? 0 : entry->n;
	return entry == NULL ? NULL : entry->ranges;
}

void
remember_ranges(Oid relid, const KafkaRange *ranges, int n)
{
	KafkaRange *copy = MemoryContextAlloc(CacheMemoryContext, Max(n, 1) * sizeof(KafkaRange));
	KnownRanges *entry;
	bool		found;

	memcpy(copy, ranges, n * sizeof(KafkaRange));
	if (known == NULL)
		make_table();
	entry = hash_search(known, &relid, HASH_ENTER, &found);
	if (found)
		pfree(entry->ranges);
	entry->n = n;
	entry->ranges = copy;
}
