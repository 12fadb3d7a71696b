/*
 * session_write.c
 *		The end of an epoch: sessions touched become rows.
 *
 *	absorbed and stored  ──sorted by tid──> delete
 *	stored               ──sorted by tid──> update: in place, or with new index entries when the first time moved
 *	new                  ──sorted by key──> insert
 *
 * Nothing is loaded here: every row met its stored neighbours when it was folded.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "compat.h"
#include "maintain/live_view_state.h"
#include "window/span.h"

/* The columns of a session's row: those of any group, and the last time. */
static void
store_session(void *arg, FoldGroup *session, Datum *values, bool *isnull)
{
	LiveView   *view = arg;
	int			last = view->spec->window.session.last.attnum - 1;

	live_view_store_group(view, session, values, isnull);
	isnull[last] = group_nulls(view->keys, session)[view->sessions->first_key];
	values[last] = isnull[last] ? (Datum) 0 : TimestampTzGetDatum(session_last(session));
}

/* Removes the rows of sessions that became part of others. */
static void
delete_absorbed(LiveView *view, FoldGroup **absorbed, int64 n)
{
	int64		nstored;
	FoldGroup **stored = live_view_select(absorbed, n, GROUP_STORED, true, &nstored);

	live_view_sort_by_tid(stored, nstored);
	state_table_delete(live_view_table(view), stored, nstored);
	if (view->stored_groups >= nstored)
		view->stored_groups -= nstored;
}

/* Writes what was folded; sessions and rows removed count. */
int64
session_view_write(LiveView *view)
{
	SessionCache *cache = view->sessions;
	int64		n = cache->ndirty;
	int64		nabsorbed;
	int64		nwritten;
	FoldGroup **absorbed;
	FoldGroup **written;

	if (n == 0)
		return 0;
	if (state_table_storage(live_view_table(view)) != view->storage)
		elog(ERROR, "state table was rewritten within an epoch");
	absorbed = live_view_select(cache->dirty, n, SESSION_ABSORBED, true, &nabsorbed);
	written = live_view_select(cache->dirty, n, SESSION_ABSORBED, false, &nwritten);
	delete_absorbed(view, absorbed, nabsorbed);
	live_view_write_groups(view, written, nwritten, store_session);
	CommandCounterIncrement();
	session_cache_clean(cache);
	return n;
}

/* Forgets sessions between epochs when there are too many, first of all those that no row which is not late can touch. */
void
session_view_shrink(LiveView *view)
{
	TimestampTz final = view->watermark;

	if (view->watermark != DT_NOBEGIN)
	{
		final = time_plus(final, -view->sessions->gap);
		final = time_plus(final, -view->sessions->gap);
		final = time_plus(final, -window_limits_late_span(view->limits));
	}
	session_cache_shrink(view->sessions, view->cache_bytes, final);
}
