/*
 * session_fold.c
 *		Rows into sessions.
 *
 *	for every row of a chunk, in its order:
 *		late     time + gap + lateness <= watermark: by itself, whatever there is
 *		inside   of a session: nothing moves
 *		touches  one: its first or last time becomes the row's
 *		bridges  two: the rows so far are stepped, the states merged, the later one absorbed
 *		neither  a new session
 *	then aggregates step over the chunk, each row into its session.
 *
 * Every row meets the sessions as all rows before it left them, stored ones included:
 * those near it are loaded first unless it is known that there are none.  So what
 * becomes of a row follows from the rows before it alone, and neither the cuts into
 * chunks and epochs nor what is in memory can show in the result.
 *
 * What is known without looking: the space between two sessions in memory when it was
 * searched before (SESSION_KNOWN_BELOW, known_above), and everything a gap or more
 * above the newest session ever forgotten.  In a stream of rising times that is all
 * but the first row of each key after a cold start.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "compat.h"
#include "maintain/live_view_state.h"
#include "window/lateness.h"

/* Makes what a view of sessions has instead of a group cache. */
void
session_view_open(LiveView *view)
{
	ViewSpec   *partition = palloc(sizeof(ViewSpec));

	if (view->spec->window.key != view->spec->nkeys - 1)
		elog(ERROR, "time of sessions is not the last key");
	*partition = *view->spec;
	partition->nkeys = view->spec->window.key;
	view->partition = group_keys_create(partition);
	view->sessions = session_cache_create(view->partition, view->keys, view->aggregates, view->spec->window.session.gap);
}

/* For searches in this epoch. */
static SessionTable *
session_table(LiveView *view)
{
	if (view->session_table == NULL)
	{
		StateTable *state = live_view_table(view);
		MemoryContext old = MemoryContextSwitchTo(view->epoch_context);

		view->session_table = session_table_open(state, view->spec, view->sessions);
		MemoryContextSwitchTo(old);
	}
	return view->session_table;
}

/* A cold start: learns what the table may hold. */
void
session_view_learn(LiveView *view, StateTable *table)
{
	bool		stored = !state_table_is_empty(table);

	session_cache_reset(view->sessions, stored, stored ? session_table_newest(session_table(view)) : DT_NOBEGIN);
}

/* ---- what is known and what must be looked up ---- */

/* Is no session stored near that time or above it which is not in memory? */
static inline bool
is_above_forgotten(const SessionCache *cache, TimestampTz at)
{
	return at > cache->forgotten && !session_continues(cache->forgotten, at, cache->gap);
}

/* A stored session becomes the key's i-th, or its timeless one. */
static FoldGroup *
take_stored(LiveView *view, SessionKey *key, int i, const StoredSession *stored)
{
	Datum		keys[INDEX_MAX_KEYS];
	FoldGroup  *session;

	for (int part = 0; part < view->partition->nparts; part++)
	{
		ImageType	type = view->partition->parts[part].type;

		keys[part] = stored->values[part];
		if (!type.by_value && !stored->isnull[part])
			keys[part] = image_plain(type, keys[part]);
	}
	session = session_cache_add(view->sessions, key, i, keys, stored->isnull, stored->first);
	session->tid = stored->tid;
	session->xmin = stored->xmin;
	session->flags |= GROUP_STORED;
	if (i >= 0)
		session->order = stored->last;
	aggregates_combine(view->aggregates, session, stored->values, stored->isnull);
	return session;
}

/* The space that a time above the first `position` sessions lies in: marks it as known. */
static void
mark_known(SessionKey *key, int position)
{
	if (position < key->n)
		key->sessions[position]->flags |= SESSION_KNOWN_BELOW;
	else
		key->known_above = true;
}

static inline bool
is_known(const SessionKey *key, int position)
{
	return position < key->n ? (key->sessions[position]->flags & SESSION_KNOWN_BELOW) != 0 : key->known_above;
}

/* Takes the session found below `position` unless it is that below in memory, or part of it; where the time stands now. */
static int
take_lower(LiveView *view, SessionKey *key, int position, const StoredSession *found)
{
	if (position > 0 && found->first <= session_last(key->sessions[position - 1]))
		return position;
	(void) take_stored(view, key, position, found);
	return position + 1;
}

/*
 * Brings the stored neighbours of a time into memory.  Returns how many sessions
 * begin at or before it then.
 */
static int
load_neighbours(LiveView *view, SessionKey *key, int position, TimestampTz at)
{
	SessionCache *cache = view->sessions;
	SessionTable *table = session_table(view);
	StoredSession found;
	bool		above = true;	/* may there be one? */

	if (position == key->n)
	{
		/* most often all that is stored lies below: one descent */
		above = session_table_find(table, key, SESSION_NEWEST, at, &found);
		if (above && found.first <= at)
		{
			position = take_lower(view, key, position, &found);
			above = false;
		}
		if (!above)
		{
			mark_known(key, position);
			return position;
		}
	}
	if (session_table_find(table, key, SESSION_UPTO, at, &found))
		position = take_lower(view, key, position, &found);
	if (session_table_find(table, key, SESSION_AFTER, at, &found) &&
		(position == key->n || found.first < session_first(cache, key->sessions[position])))
		(void) take_stored(view, key, position, &found);
	mark_known(key, position);
	return position;
}

/* ---- how many sessions a key has open ---- */

/* Can no row that is not late touch it? */
static bool
is_final(const LiveView *view, const FoldGroup *session)
{
	return session_is_final(session_last(session), view->sessions->gap, window_limits_late_span(view->limits), view->closed_by);
}

/* Brings those of a key's stored sessions into memory that are not final, from the newest on until there are too many. */
static void
load_open(LiveView *view, SessionKey *key)
{
	int			position = key->n;
	TimestampTz at = DT_NOEND;

	for (int64 open = 0; open <= view->caps.open_windows; open++)
	{
		if (!is_known(key, position))
			position = load_neighbours(view, key, position, at);
		if (position == 0 || is_final(view, key->sessions[position - 1]) ||
			session_first(view->sessions, key->sessions[position - 1]) == DT_NOBEGIN)
			break;
		at = session_first(view->sessions, key->sessions[--position]) - 1;
	}
	key->whole = true;
}

/* How many are open, all being in memory: as time rises, final ones come before them. */
static int
count_open(const LiveView *view, const SessionKey *key)
{
	int			low = 0;
	int			high = key->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (is_final(view, key->sessions[middle]))
			low = middle + 1;
		else
			high = middle;
	}
	return key->n - low;
}

/* A key got one more: are they too many?  Said at the end of the epoch, when it is no row's fault. */
static void
check_open(LiveView *view, SessionKey *key)
{
	/* with few in memory, few were added since the worker began */
	if (key->n <= view->caps.open_windows / 2 || !caps_count_windows(view) || view->crowded)
		return;
	if (!key->whole)
		load_open(view, key);
	view->crowded = count_open(view, key) > view->caps.open_windows;
}

/* ---- a row's session ---- */

/* The i-th and the next session become one.  Rows on their way belong to one or the other. */
static void
bridge(LiveView *view, SessionKey *key, int i)
{
	live_view_step(view);
	aggregates_merge(view->aggregates, key->sessions[i], key->sessions[i + 1]);
	session_cache_absorb_next(view->sessions, key, i);
}

/* A session of its own for a row. */
static FoldGroup *
new_session(LiveView *view, SessionKey *key, int position, const Datum *keys, const bool *nulls, TimestampTz at)
{
	bool		known = is_known(key, position);
	FoldGroup  *session = session_cache_add(view->sessions, key, position, keys, nulls, at);

	if (known)
		session->flags |= SESSION_KNOWN_BELOW;
	/* whatever was forgotten lies below */
	mark_known(key, position + 1);
	check_open(view, key);
	return session;
}

/* Moves a session's first time down; it stands elsewhere in the index then. */
static void
begin_at(LiveView *view, FoldGroup *session, TimestampTz at)
{
	session->keys[view->sessions->first_key] = TimestampTzGetDatum(at);
	session->flags |= GROUP_NEW_KEY;
}

/* The session that a row at that time belongs to, made or moved as it needs. */
static FoldGroup *
session_at(LiveView *view, SessionKey *key, const Datum *keys, const bool *nulls, TimestampTz at)
{
	SessionCache *cache = view->sessions;
	int			position = session_cache_position(cache, key, at);
	FoldGroup  *lower = position > 0 ? key->sessions[position - 1] : NULL;
	FoldGroup  *upper;
	bool		touches_upper;

	if (lower != NULL && at <= session_last(lower))
		return lower;
	if (!is_known(key, position) && !is_above_forgotten(cache, at))
	{
		position = load_neighbours(view, key, position, at);
		lower = position > 0 ? key->sessions[position - 1] : NULL;
		if (lower != NULL && at <= session_last(lower))
			return lower;
	}
	upper = position < key->n ? key->sessions[position] : NULL;
	touches_upper = upper != NULL && session_continues(at, session_first(cache, upper), cache->gap);

	if (lower != NULL && session_continues(session_last(lower), at, cache->gap))
	{
		if (touches_upper)
			bridge(view, key, position - 1);
		else
			lower->order = at;
		return lower;
	}
	if (!touches_upper)
		return new_session(view, key, position, keys, nulls, at);
	begin_at(view, upper, at);
	return upper;
}

/* The session of a key's rows without a time. */
static FoldGroup *
timeless_session(LiveView *view, SessionKey *key, const Datum *keys, const bool *nulls)
{
	StoredSession found;

	if (key->timeless != NULL)
		return key->timeless;
	if (!key->known_timeless && session_table_find(session_table(view), key, SESSION_TIMELESS, 0, &found))
		return take_stored(view, key, -1, &found);
	key->known_timeless = true;
	return session_cache_add(view->sessions, key, -1, keys, nulls, 0);
}

/* ---- a chunk ---- */

/* Reads the keys of a chunk's rows; looks them up in memory ahead. */
static void
read_keys(LiveView *view)
{
	FoldChunk  *chunk = &view->chunk;
	int			nparts = view->partition->nparts;

	for (int i = 0; i < chunk->nrows; i++)
	{
		view->row = chunk->row[i];
		view->hashes[i] = group_keys_read(view->partition, chunk->values + chunk->input[i],
										  chunk->isnull + chunk->input[i],
										  view->key_values + i * nparts, view->key_nulls + i * nparts);
		session_cache_prefetch(view->sessions, view->hashes[i]);
	}
	for (int i = 0; i < chunk->nrows; i++)
		session_cache_prefetch_key(view->sessions, view->hashes[i]);
	for (int i = 0; i < chunk->nrows; i++)
		session_cache_prefetch_session(view->sessions, view->hashes[i]);
}

/* Is a row of that time late?  Its own end, time + gap, decides. */
static bool
is_late(LiveView *view, TimestampTz at)
{
	TimestampTz end = time_plus(at, view->sessions->gap);

	/* most rows are above the watermark whatever the lateness; infinity is reached when an input is over */
	return view->watermark != DT_NOBEGIN && (end <= view->watermark || end == DT_NOEND) &&
		window_limits_add_lateness(view->limits, end) <= view->watermark;
}

/* Notes a late row. */
static void
note_late(LiveView *view, int row, TimestampTz at)
{
	LateRow    *late = live_view_add_late(view, row);

	late->event_time = TimestampTzGetDatum(at);
	late->window_start = at;
	late->window_end = time_plus(at, view->sessions->gap);
}

/* The key of row i of the chunk.  Consecutive rows often share one. */
static inline SessionKey *
key_of_row(LiveView *view, int i, SessionKey *last)
{
	const Datum *keys = view->key_values + i * view->partition->nparts;
	const bool *nulls = view->key_nulls + i * view->partition->nparts;

	if (last != NULL && last->hash == view->hashes[i] &&
		group_keys_equal(view->partition, last->keys, session_key_nulls(view->sessions, last), keys, nulls))
		return last;
	return session_cache_key(view->sessions, keys, nulls, view->hashes[i]);
}

/*
 * Finds the sessions of a chunk's rows and takes the late ones out.  The chunk is
 * filled again from its beginning while it is read, and stepped where sessions are bridged.
 */
void
session_view_find(LiveView *view, const RowBatch *rows)
{
	FoldChunk  *chunk = &view->chunk;
	int			time_input = view->spec->keys[view->spec->window.key].input;
	int			nparts = view->partition->nparts;
	int			n = chunk->nrows;
	SessionKey *key = NULL;

	read_keys(view);
	chunk->nrows = 0;
	for (int i = 0; i < n; i++)
	{
		int			input = chunk->input[i];
		bool		timeless = chunk->isnull[input + time_input];
		TimestampTz at = timeless ? 0 : DatumGetTimestampTz(chunk->values[input + time_input]);
		const Datum *keys = view->key_values + i * nparts;
		const bool *nulls = view->key_nulls + i * nparts;
		FoldGroup  *session;

		view->row = chunk->row[i];
		if (unlikely(!timeless && is_late(view, at)))
		{
			note_late(view, view->row, at);
			continue;
		}
		key = key_of_row(view, i, key);
		session = timeless ? timeless_session(view, key, keys, nulls) : session_at(view, key, keys, nulls, at);
		session_cache_raise_key(view->sessions, session, keys, nulls);
		session_cache_mark_dirty(view->sessions, session);
		chunk->group[chunk->nrows] = session;
		chunk->row[chunk->nrows] = view->row;
		chunk->input[chunk->nrows] = input;
		chunk->nrows++;
	}
}
