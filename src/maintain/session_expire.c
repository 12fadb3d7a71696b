/*
 * session_expire.c
 *		Old sessions leave the state table.
 *
 * In come the watermark and how long sessions stay after their end; what goes out are
 * stored sessions, from the table and from memory, a bounded number per epoch.
 *
 *		horizon = watermark - Max(retain, lateness + gap)
 *
 *			|--- removed ---|	 |--- stays: it ends behind the horizon ---|
 *		----------------------------+---------------------------> time
 *								 horizon
 *
 * The invariant: only sessions go that end at or before the horizon, and with it all of
 * them are final: no row that is not late can touch one, or bridge it with another.  So
 * every session that ends behind the horizon is as its rows made it.
 *
 * Sessions are walked by their first time, along an index that views with option retain
 * have.  No index could be by last time, which changes with every row.  So the walk
 * passes sessions that began long ago and still go on:
 *
 *		first time	-------------------------------------------->
 *		sessions		x  x  L  x  x  L  x  |  .  .  .  .
 *									 removed_to			x: removed, L: passed
 *
 * It goes on from where it ended, and begins anew when the first of those it passed
 * (passed_last) may have become old enough.  Rows that are not late begin no session
 * below that, and their sessions' last times only rise, so nothing is missed.
 *
 * When an input is over (the watermark is infinity) nothing is removed.  Rows without a
 * time are of no session that ends.  Locks are those of any write to the state table;
 * a crash leaves what the last commit left, and the next walk begins at the oldest.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "maintain/live_view_state.h"
#include "maintain/window_table.h"
#include "window/lateness.h"

/* One slice of the walk. */
typedef struct Slice
{
	TimeWalk	walk;
	TimestampTz old_to;			/* sessions with a last time up to this are old enough */
	int64		max_rows;
	int64		removed;
	int64		met;			/* rows, without those at the time it began with */
	bool		at_end;			/* no session beyond is old enough yet */
} Slice;

/* How long sessions stay after their end: at least until they are final. */
static int64
kept_for(const LiveView *view, const Interval *lateness, int64 retain)
{
	int64		until_final;

	if (pg_add_s64_overflow(lateness_length(lateness), view->sessions->gap, &until_final))
		until_final = PG_INT64_MAX;
	return Max(retain, until_final);
}

/* The index to walk along; not there when somebody dropped it. */
static Relation
open_time_index(LiveView *view, Relation table)
{
	Relation	index = index_led_by(table, view->spec->keys[view->spec->window.key].column.attnum, RowExclusiveLock);

	if (index == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("state table \"%s\" has no index on the time of its sessions", get_rel_name(view->spec->state_relid)),
				 errdetail("Option retain removes old sessions along it."),
				 errhint("deltaflow.set_view_options with option retain makes it anew; then deltaflow.resume the view.")));
	return index;
}

/* The session at hand goes, from memory too. */
static void
remove_session(LiveView *view, Slice *slice, TimestampTz first)
{
	Datum		keys[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];
	TupleTableSlot *row = slice->walk.slot;
	uint32		hash;

	slot_getallattrs(row);
	hash = group_keys_read_stored(view->partition, row->tts_values, row->tts_isnull, keys, nulls);
	session_cache_remove(view->sessions, keys, nulls, hash, first);
	time_walk_remove(&slice->walk);
	slice->removed++;
}

/* Whether the slice ends before a session that begins there. */
static bool
ends_before(const LiveView *view, Slice *slice, TimestampTz first)
{
	slice->at_end = first > slice->old_to;
	return slice->at_end || slice->removed >= slice->max_rows ||
		(slice->met >= slice->max_rows && first != view->removed_to);
}

/* Removes and passes sessions, until enough is done or there are no more. */
static void
walk_slice(LiveView *view, Slice *slice)
{
	AttrNumber	last_column = view->spec->window.session.last.attnum;
	TimestampTz from = view->removed_to;
	TimestampTz first;

	for (;;)
	{
		TimestampTz last;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (!time_walk_next(&slice->walk, ForwardScanDirection, &first))
		{
			slice->at_end = true;
			return;
		}
		if (ends_before(view, slice, first))
			return;
		last = DatumGetTimestampTz(slot_getattr(slice->walk.slot, last_column, &isnull));
		if (last <= slice->old_to)
			remove_session(view, slice, first);
		else
			view->passed_last = Min(view->passed_last, last);
		slice->met += first != from;
		view->removed_to = first;
	}
}

/* Where this slice begins: anew, when sessions that were passed may be old enough now. */
static void
choose_beginning(LiveView *view, TimestampTz old_to)
{
	if (!view->walked || old_to < view->passed_last)
		return;
	view->removed_to = DT_NOBEGIN;
	view->passed_last = DT_NOEND;
}

bool
session_view_expire(LiveView *view, TimestampTz watermark, const Interval *lateness, int64 retain, int64 max_rows,
					TimestampTz *horizon)
{
	TimestampTz end = time_plus(watermark, -kept_for(view, lateness, retain));
	Slice		slice = {.old_to = time_plus(end, -view->sessions->gap), .max_rows = max_rows};
	StateTableParts parts;
	Relation	index;

	if (TIMESTAMP_NOT_FINITE(slice.old_to))
		return true;
	choose_beginning(view, slice.old_to);
	parts = state_table_parts(live_view_table(view));
	index = open_time_index(view, parts.relation);
	time_walk_begin(&slice.walk, &parts, index, view->spec->window.time_type,
					view->spec->keys[view->spec->window.key].column.attnum,
					BTGreaterEqualStrategyNumber, view->removed_to);
	walk_slice(view, &slice);
	time_walk_end(&slice.walk);
	index_close(index, NoLock);
	view->walked = slice.at_end;
	if (slice.removed > 0)
	{
		CommandCounterIncrement();
		view->stored_groups -= slice.removed;
		*horizon = Max(*horizon, end);
	}
	return slice.at_end;
}
