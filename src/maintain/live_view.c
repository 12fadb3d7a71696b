/*
 * live_view.c
 *		One continuous view at run time: rows in, state table out.
 *
 *	fold, for every chunk of 64 rows of a batch:
 *		inputs = where(row) ? project(row) : filtered			row_input.c
 *		group  = cache[key(inputs)], or a new one				group_key.c, group_cache.c
 *		late   = group's window end + lateness <= watermark		window_limit.c
 *				 by panes: late for some windows, another group for the rest
 *		group.states = step(group.states, arguments)			fold_*.c
 *	write, once per epoch:
 *		groups not known to be complete, in key order: find, combine
 *		groups that are stored, in tid order: update				state_table.c
 *		groups that are new, in key order: insert
 *
 * Invariants
 *	- A complete group holds the state of all rows ever folded into it; one that is
 *	  not holds only those of this epoch, and live_view_write adds what is stored.
 *	- A group that is in the table but not in the cache has an order that is not above
 *	  `forgotten`.  So a group above it that is not in the cache is new, and nothing
 *	  needs to be looked up: the common case of rows for the newest windows.
 *	- Between epochs no group is dirty, and the cache could be thrown away.
 *
 * Locks: the writer's lock on the state table from an epoch's first fold until its
 * transaction ends, so that it is not rewritten under us.
 *
 * Memory: all in one context of the view; below it the cache's, that of expressions,
 * and one for an epoch's fold and write, reset when they are done.
 *
 * A crash or an error leaves the state table as it was at the last commit.  The
 * caller discards the view's memory and the next epoch begins cold.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "maintain/live_view.h"
#include "maintain/live_view_state.h"

#define NO_ROW	(-1)

#define OPEN_FROM_KEY	1		/* of a view by panes */

/* A context's child for what one epoch needs, and all else that lasts. */
LiveView *
live_view_open(const ViewSpec *spec, size_t cache_bytes)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "deltaflow live view",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	LiveView   *view = palloc0(sizeof(LiveView));
	Size		header = offsetof(FoldGroup, keys) + spec->nkeys * (sizeof(Datum) + sizeof(bool));

	if (spec->window.kind != WINDOW_NONE && spec->window.kind != WINDOW_SESSION && spec->window.key != 0)
		elog(ERROR, "window is not the first key");

	view->spec = spec;
	view->context = context;
	view->cache_bytes = cache_bytes;
	view->windowed = spec->window.kind != WINDOW_NONE;
	view->panes = spec->window.kind == WINDOW_PANES;
	view->epoch_context = AllocSetContextCreate(context, "deltaflow live view epoch",
												ALLOCSET_DEFAULT_SIZES);
	view->keys = group_keys_create(spec);
	view->aggregates = aggregates_create(spec, header);
	if (view->windowed)
		view->limits = window_limits_create(spec);
	if (spec->window.kind == WINDOW_SESSION)
		session_view_open(view);
	else
		view->cache = group_cache_create(view->keys, view->aggregates);
	view->input = row_input_create(spec, view->sessions != NULL ? NULL : view->limits);

	view->chunk.ninputs = spec->ninputs;
	view->chunk.values = palloc0(Max(spec->ninputs, 1) * FOLD_CHUNK_ROWS * sizeof(Datum));
	view->chunk.isnull = palloc0(Max(spec->ninputs, 1) * FOLD_CHUNK_ROWS * sizeof(bool));
	view->key_values = palloc0(Max(spec->nkeys, 1) * FOLD_CHUNK_ROWS * sizeof(Datum));
	view->key_nulls = palloc0(Max(spec->nkeys, 1) * FOLD_CHUNK_ROWS * sizeof(bool));
	view->row = NO_ROW;
	view->watermark = DT_NOBEGIN;
	caps_forget(view);

	MemoryContextSwitchTo(old);
	return view;
}

/* Frees everything. */
void
live_view_close(LiveView *view)
{
	MemoryContextDelete(view->context);
}

/* Forgets everything folded and cached. */
void
live_view_discard(LiveView *view)
{
	if (view->sessions != NULL)
		session_cache_reset(view->sessions, true, DT_NOEND);
	else
		group_cache_reset(view->cache);
	MemoryContextReset(view->epoch_context);
	view->table = NULL;
	view->session_table = NULL;
	view->storage = InvalidOid;
	view->row = NO_ROW;
	view->stepping = false;
	caps_forget(view);
}

/* The row that live_view_fold was at when it threw. */
int
live_view_current_row(const LiveView *view)
{
	return view->stepping ? view->chunk.row[view->chunk.at] : view->row;
}

/* Memory held by what is cached. */
Size
live_view_cache_bytes(const LiveView *view)
{
	return view->sessions != NULL ? session_cache_bytes(view->sessions) : group_cache_bytes(view->cache);
}

/* Opens the state table for this epoch; closed by live_view_release_table. */
StateTable *
live_view_table(LiveView *view)
{
	if (view->table == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(view->epoch_context);

		view->table = state_table_open(view->spec, view->keys);
		MemoryContextSwitchTo(old);
	}
	return view->table;
}

/* Closes the state table if it is open. */
void
live_view_release_table(LiveView *view)
{
	if (view->session_table != NULL)
		session_table_close(view->session_table);
	view->session_table = NULL;
	if (view->table != NULL)
		state_table_close(view->table);
	view->table = NULL;
	MemoryContextReset(view->epoch_context);
}

/*
 * Before an epoch's first row: is the table still the one that the cache knows?
 * After a rewrite (VACUUM FULL, CLUSTER, TRUNCATE) or a cold start, learn which
 * windows it holds.  From here on our lock keeps it as it is.
 */
void
live_view_begin_epoch(LiveView *view)
{
	StateTable *table = live_view_table(view);
	FoldGroup	  **dirty;

	if ((view->sessions != NULL ? view->sessions->ndirty : group_cache_dirty(view->cache, &dirty)) > 0)
		return;
	view->epoch++;
	if (view->storage == state_table_storage(table))
		return;

	caps_forget(view);
	if (view->sessions != NULL)
	{
		session_view_learn(view, table);
		view->storage = state_table_storage(table);
		return;
	}
	group_cache_reset(view->cache);
	if (view->windowed)
		view->forgotten = state_table_newest(table);
	else
		view->some_forgotten = !state_table_is_empty(table);
	view->storage = state_table_storage(table);
}

/* Is a group that is not in the cache certainly not in the table? */
static bool
group_is_new(const LiveView *view, const Datum *keys, const bool *nulls)
{
	if (!view->windowed)
		return !view->some_forgotten;
	return !nulls[0] && DatumGetInt64(keys[0]) > view->forgotten;
}

/* Adds to a group what is stored of it, if anything is. */
void
live_view_load_group(LiveView *view, FoldGroup *group)
{
	Datum	   *values;
	bool	   *isnull;

	if (state_table_find(live_view_table(view), group, &values, &isnull))
	{
		aggregates_combine(view->aggregates, group, values, isnull);
		if (view->keys->has_representative)
			group_cache_meet_key(view->cache, group, values, isnull);
		group->flags |= GROUP_STORED;
	}
	group->flags |= GROUP_COMPLETE;
}

/* The watermark from which on rows of this key's window are late. */
static TimestampTz
key_limit(LiveView *view, const Datum *keys, const bool *nulls)
{
	if (!view->windowed || nulls[0])
		return DT_NOEND;
	if (view->panes && DatumGetTimestamp(keys[OPEN_FROM_KEY]) != DT_NOBEGIN)
		return window_limits_add_lateness(view->limits, DatumGetTimestamp(keys[OPEN_FROM_KEY]));
	return window_limits_of(view->limits, keys[0])->limit;
}

/*
 * Makes the group of a key that is not in the cache; NULL: its window is closed, the
 * row is late.
 */
static FoldGroup *
make_group(LiveView *view, const Datum *keys, const bool *nulls, uint32 hash, TimestampTz watermark)
{
	TimestampTz limit = key_limit(view, keys, nulls);
	FoldGroup	   *group;

	if (limit <= watermark && watermark != DT_NOBEGIN)
		return NULL;

	group = group_cache_add(view->cache, keys, nulls, hash);
	if (view->windowed && !nulls[0])
	{
		group->order = DatumGetTimestamp(keys[0]);
		group->late_limit = limit;
	}
	if (group_is_new(view, keys, nulls))
		group->flags |= GROUP_COMPLETE;
	else if (view->aggregates->in_order)
		live_view_load_group(view, group);
	return group;
}

/* Adds a late row to the result. */
LateRow *
live_view_add_late(LiveView *view, int row)
{
	FoldResult *result = view->result;

	if (result->nlate == view->late_capacity)
	{
		view->late_capacity = Max(2 * view->late_capacity, 64);
		view->late = view->late == NULL ?
			MemoryContextAlloc(view->context, view->late_capacity * sizeof(LateRow)) :
			repalloc(view->late, view->late_capacity * sizeof(LateRow));
		result->late = view->late;
	}
	view->late[result->nlate].row = row;
	view->late[result->nlate].left_out = true;
	result->fate[row] = 'l';
	return &view->late[result->nlate++];
}

/* Notes a row that is late for a window. */
static void
note_late(LiveView *view, const RowBatch *rows, int row, TimestampTz start, TimestampTz end)
{
	LateRow    *late = live_view_add_late(view, row);
	bool		isnull;

	late->window_start = start;
	late->window_end = end;
	late->event_time = row_input_time(view->input, rows, row, &isnull);
}

/* Reads the keys of a chunk's rows; looks them up in memory ahead. */
static void
read_keys(LiveView *view)
{
	FoldChunk  *chunk = &view->chunk;
	int			nkeys = view->spec->nkeys;

	for (int i = 0; i < chunk->nrows; i++)
	{
		view->row = chunk->row[i];
		view->hashes[i] = group_keys_read(view->keys, chunk->values + chunk->input[i],
										  chunk->isnull + chunk->input[i],
										  view->key_values + i * nkeys,
										  view->key_nulls + i * nkeys);
		group_cache_prefetch(view->cache, view->hashes[i]);
	}
	for (int i = 0; i < chunk->nrows; i++)
		group_cache_prefetch_group(view->cache, view->hashes[i]);
}

/* The group of row i of the chunk; NULL: late.  Consecutive rows often share one. */
static inline FoldGroup *
group_of_row(LiveView *view, int i, FoldGroup *last, TimestampTz watermark)
{
	const Datum *keys = view->key_values + i * view->spec->nkeys;
	const bool *nulls = view->key_nulls + i * view->spec->nkeys;
	FoldGroup	   *group;

	if (last != NULL && last->hash == view->hashes[i] &&
		group_keys_equal(view->keys, last->keys, group_nulls(view->keys, last), keys, nulls))
		group = last;
	else
		group = group_cache_find(view->cache, keys, nulls, view->hashes[i]);

	if (unlikely(group == NULL))
		return make_group(view, keys, nulls, view->hashes[i], watermark);
	if (unlikely(group->late_limit <= watermark && watermark != DT_NOBEGIN))
		return NULL;
	if (view->keys->has_representative)
		group_cache_raise_key(view->cache, group, keys, nulls);
	return group;
}

/*
 * A row of the chunk whose pane has windows that are closed: it is late for those.  The
 * others share a group that begins with the first of them; NULL: there are none.
 */
static FoldGroup *
group_of_open_windows(LiveView *view, const RowBatch *rows, int i, TimestampTz watermark)
{
	FoldChunk  *chunk = &view->chunk;
	Datum	   *keys = view->key_values + i * view->spec->nkeys;
	bool	   *nulls = view->key_nulls + i * view->spec->nkeys;
	WindowCursor windows;
	WindowBounds window;

	window_cursor_begin(&windows, &view->spec->window.panes.shape, DatumGetTimestamp(keys[0]));
	while (window_cursor_next(&windows, &window))
	{
		if (window_limits_add_lateness(view->limits, window.end) > watermark)
		{
			chunk->values[chunk->input[i] + view->spec->keys[OPEN_FROM_KEY].input] = TimestampGetDatum(window.end);
			view->hashes[i] = group_keys_read(view->keys, chunk->values + chunk->input[i],
											  chunk->isnull + chunk->input[i], keys, nulls);
			return group_of_row(view, i, NULL, watermark);
		}
		note_late(view, rows, chunk->row[i], window.start, window.end);
	}
	return NULL;
}

/* A row whose group is closed; what is left of it: a group for its open windows, or NULL. */
static FoldGroup *
take_late_row(LiveView *view, const RowBatch *rows, int i, TimestampTz watermark)
{
	FoldGroup	   *group = NULL;
	FoldResult *result = view->result;
	Datum		start = view->key_values[i * view->spec->nkeys];
	int			before = result->nlate;

	if (view->panes)
		group = group_of_open_windows(view, rows, i, watermark);
	else
		note_late(view, rows, view->chunk.row[i], DatumGetTimestamp(start),
				  window_limits_of(view->limits, start)->end);
	if (group != NULL)
	{
		result->fate[view->chunk.row[i]] = 'a';
		for (int k = before; k < result->nlate; k++)
			result->late[k].left_out = false;
	}
	return group;
}

/* Finds the groups of a chunk's rows and takes the late ones out. */
static void
find_groups(LiveView *view, const RowBatch *rows, TimestampTz watermark)
{
	FoldChunk  *chunk = &view->chunk;
	FoldGroup	   *last = NULL;
	int			kept = 0;

	read_keys(view);
	for (int i = 0; i < chunk->nrows; i++)
	{
		FoldGroup	   *group;

		view->row = chunk->row[i];
		group = group_of_row(view, i, last, watermark);
		if (unlikely(group == NULL))
			group = take_late_row(view, rows, i, watermark);
		if (unlikely(group == NULL))
			continue;
		if (!(group->flags & GROUP_DIRTY))
		{
			group_cache_mark_dirty(view->cache, group);
			if (!view->windowed)
				group->order = view->epoch;
		}
		last = group;
		chunk->group[kept] = group;
		chunk->row[kept] = chunk->row[i];
		chunk->input[kept] = chunk->input[i];
		kept++;
	}
	chunk->nrows = kept;
}

/* Lateness changed: what groups know of their limits is void. */
static void
renew_limits(LiveView *view)
{
	for (int64 i = 0; i < group_cache_count(view->cache); i++)
	{
		FoldGroup	   *group = group_cache_nth(view->cache, i);

		group->late_limit = key_limit(view, group->keys, group_nulls(view->keys, group));
	}
}

/* Prepares the result of folding a batch. */
static void
begin_result(LiveView *view, const RowBatch *rows, FoldResult *result)
{
	if (view->fate_capacity < rows->nrows)
	{
		if (view->fate != NULL)
			pfree(view->fate);
		view->fate = MemoryContextAlloc(view->context, rows->nrows);
		view->fate_capacity = rows->nrows;
	}
	memset(result, 0, sizeof(FoldResult));
	result->fate = view->fate;
	result->late = view->late;
	if (rows->nrows > 0)
		memset(view->fate, 'a', rows->nrows);
	view->result = result;
}

/* Takes the chunk's rows into their groups. */
void
live_view_step(LiveView *view)
{
	view->stepping = true;
	aggregates_step(view->aggregates, &view->chunk);
	view->stepping = false;
	view->result->applied += view->chunk.nrows;
	view->chunk.nrows = 0;
}

/* Folds the rows: see the header. */
void
live_view_fold(LiveView *view, const RowBatch *rows, TimestampTz watermark,
			   const Interval *lateness, FoldResult *result)
{
	MemoryContext old = MemoryContextSwitchTo(row_input_scratch(view->input));
	int			next = 0;

	begin_result(view, rows, result);
	live_view_begin_epoch(view);
	watermark = Min(watermark, DT_NOEND - 1);	/* groups without a window have a limit of infinity */
	view->watermark = watermark;
	if (view->windowed && window_limits_set_lateness(view->limits, lateness) && view->sessions == NULL)
		renew_limits(view);

	while (next < rows->nrows)
	{
		view->row = next;
		result->filtered += row_input_fill(view->input, rows, &next, &view->chunk, result->fate);
		if (view->sessions != NULL)
			session_view_find(view, rows);
		else
			find_groups(view, rows, watermark);
		live_view_step(view);
	}

	view->row = NO_ROW;
	MemoryContextSwitchTo(old);
	live_view_release_table(view);
}
