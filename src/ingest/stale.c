/*
 * stale.c
 *		Invalidation messages, counted.
 *
 * DDL by others reaches a backend as invalidations, which are processed when a
 * transaction starts or takes a lock.  A pipeline compares the count at each epoch
 * with the one it loaded at.  The target is not watched: ANALYZE and autovacuum
 * touch it all the time, and the attempt compares its columns anyway.  Functions and
 * domains in compiled expressions are watched as the server's own plans are: the
 * body of an SQL function may have become a part of the expression.
 */
#include "postgres.h"

#include "nodes/plannodes.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "ingest/stale.h"

static uint64 count = 0;
static List *watched = NIL;		/* of Oid, in TopMemoryContext */
static List *parts = NIL;		/* of PlanInvalItem, there too */

static void
relation_changed(Datum argument, Oid relid)
{
	if (relid == InvalidOid || list_member_oid(watched, relid))
		count++;
}

static void
object_changed(Datum argument, int cache, uint32 hash)
{
	count++;
}

static void
part_changed(Datum argument, int cache, uint32 hash)
{
	ListCell   *cell;

	foreach(cell, parts)
	{
		const PlanInvalItem *part = lfirst(cell);

		if (part->cacheId == cache && (hash == 0 || part->hashValue == hash))
			count++;
	}
}

/* Registers once per backend: the server has no call to take it back. */
static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	registered = true;
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, object_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNTABLEREL, object_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, object_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, part_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, part_changed, (Datum) 0);
}

void
stale_watch(Oid relid)
{
	MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);

	register_callbacks();
	watched = list_append_unique_oid(watched, relid);
	MemoryContextSwitchTo(before);
}

void
stale_watch_parts(const List *items)
{
	MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
	ListCell   *cell;

	register_callbacks();
	foreach(cell, items)
		parts = lappend(parts, copyObject(lfirst_node(PlanInvalItem, cell)));
	MemoryContextSwitchTo(before);
}

void
stale_watch_nothing(void)
{
	list_free(watched);
	watched = NIL;
	list_free_deep(parts);
	parts = NIL;
}

uint64
stale_count(void)
{
	return count;
}
