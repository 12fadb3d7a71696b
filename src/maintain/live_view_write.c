/*
 * live_view_write.c
 *		The end of an epoch: groups touched become rows.
 *
 *	not complete  ──sorted by key──> found? combine : new
 *	stored        ──sorted by tid──> update
 *	new           ──sorted by key──> insert
 *
 * Key order makes neighbouring probes and inserts meet in the same index pages, tid
 * order makes the updates of one heap page stand together.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "maintain/live_view_state.h"

typedef struct TidGroup
{
	uint64		tid;
	FoldGroup	   *group;
} TidGroup;

#define ST_SORT			sort_tid_groups
#define ST_ELEMENT_TYPE	TidGroup
#define ST_COMPARE(a, b)	((a)->tid < (b)->tid ? -1 : (a)->tid > (b)->tid)
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Orders groups by key, for qsort_arg. */
static int
compare_groups(const void *a, const void *b, void *arg)
{
	GroupKeys  *keys = arg;
	FoldGroup	   *x = *(FoldGroup *const *) a;
	FoldGroup	   *y = *(FoldGroup *const *) b;

	return group_keys_compare(keys, x->keys, group_nulls(keys, x), y->keys, group_nulls(keys, y));
}

/* The order of the index. */
static void
sort_by_key(LiveView *view, FoldGroup **groups, int64 n)
{
	qsort_arg(groups, n, sizeof(FoldGroup *), compare_groups, view->keys);
}

/* The order of the heap. */
void
live_view_sort_by_tid(FoldGroup **groups, int64 n)
{
	TidGroup   *sorted = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(TidGroup));

	for (int64 i = 0; i < n; i++)
	{
		sorted[i].tid = ((uint64) ItemPointerGetBlockNumber(&groups[i]->tid) << 16) |
			ItemPointerGetOffsetNumber(&groups[i]->tid);
		sorted[i].group = groups[i];
	}
	sort_tid_groups(sorted, n);
	for (int64 i = 0; i < n; i++)
		groups[i] = sorted[i].group;
	pfree(sorted);
}

/* Copies the groups that have, or lack, some flags. */
FoldGroup **
live_view_select(FoldGroup **groups, int64 n, uint16 flags, bool have, int64 *nselected)
{
	FoldGroup	  **selected = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(FoldGroup *));
	int64		k = 0;

	for (int64 i = 0; i < n; i++)
	{
		if (((groups[i]->flags & flags) != 0) == have)
			selected[k++] = groups[i];
	}
	*nselected = k;
	return selected;
}

/* Adds what is stored to groups that were folded without knowing it. */
static void
complete_groups(LiveView *view, FoldGroup **groups, int64 n)
{
	int64		nmissing;
	FoldGroup	  **missing = live_view_select(groups, n, GROUP_COMPLETE, false, &nmissing);

	sort_by_key(view, missing, nmissing);
	for (int64 i = 0; i < nmissing; i++)
	{
		CHECK_FOR_INTERRUPTS();
		live_view_load_group(view, missing[i]);
	}
	pfree(missing);
}

/* The columns of a group's row: keys and states. */
void
live_view_store_group(LiveView *view, FoldGroup *group, Datum *values, bool *isnull)
{
	const bool *nulls = group_nulls(view->keys, group);

	for (int i = 0; i < view->spec->nkeys; i++)
	{
		int			column = view->spec->keys[i].column.attnum - 1;

		values[column] = group->keys[i];
		isnull[column] = nulls[i];
	}
	aggregates_store(view->aggregates, group, values, isnull);
}

/* The same for the table's calls. */
static void
store_group(void *arg, FoldGroup *group, Datum *values, bool *isnull)
{
	live_view_store_group(arg, group, values, isnull);
}

/* Writes complete groups: store fills their rows, with the view as its argument. */
void
live_view_write_groups(LiveView *view, FoldGroup **groups, int64 n, StoreGroup store)
{
	int64		nstored;
	int64		nnew;
	FoldGroup	  **stored = live_view_select(groups, n, GROUP_STORED, true, &nstored);
	FoldGroup	  **fresh = live_view_select(groups, n, GROUP_STORED, false, &nnew);

	live_view_sort_by_tid(stored, nstored);
	sort_by_key(view, fresh, nnew);
	state_table_update(view->table, stored, nstored, store, view);
	state_table_insert(view->table, fresh, nnew, store, view);
	for (int64 i = 0; i < nnew; i++)
		fresh[i]->flags |= GROUP_STORED;
	caps_added(view, fresh, nnew);
}

/* A view without keys has its one row even when no row ever came. */
static void
ensure_global_group(LiveView *view)
{
	uint32		hash = group_keys_read(view->keys, NULL, NULL, NULL, NULL);
	FoldGroup	   *group = group_cache_find(view->cache, NULL, NULL, hash);

	if (group != NULL)
		return;
	group = group_cache_add(view->cache, NULL, NULL, hash);
	live_view_load_group(view, group);
	if (!(group->flags & GROUP_STORED))
		group_cache_mark_dirty(view->cache, group);
}

/* Forgets groups between epochs when there are too many. */
static void
shrink_cache(LiveView *view)
{
	int64		forgotten = view->windowed ? view->forgotten : 0;

	if (view->sessions != NULL)
	{
		session_view_shrink(view);
		return;
	}

	if (group_cache_shrink(view->cache, view->cache_bytes, view->watermark, &forgotten))
	{
		if (view->windowed)
			view->forgotten = forgotten;
		else
			view->some_forgotten = true;
	}
}

/* Writes the groups that were folded into. */
static int64
write_dirty(LiveView *view)
{
	FoldGroup **groups;
	int64		n;

	if (view->spec->nkeys == 0)
	{
		live_view_begin_epoch(view);
		ensure_global_group(view);
	}
	n = group_cache_dirty(view->cache, &groups);
	if (n > 0)
	{
		if (state_table_storage(live_view_table(view)) != view->storage)
			elog(ERROR, "state table was rewritten within an epoch");
		complete_groups(view, groups, n);
		live_view_write_groups(view, groups, n, store_group);
		CommandCounterIncrement();
		group_cache_clean(view->cache);
	}
	return n;
}

/* Writes what was folded: see the header. */
int64
live_view_write(LiveView *view)
{
	MemoryContext old = MemoryContextSwitchTo(view->epoch_context);
	int64		n = view->sessions != NULL ? session_view_write(view) : write_dirty(view);

	if (n > 0)
		caps_check(view);
	MemoryContextSwitchTo(old);
	live_view_release_table(view);
	shrink_cache(view);
	return n;
}
