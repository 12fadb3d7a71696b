/*
 * session_cache.c
 *		The sessions that a view has in memory.
 *
 *	hash table          key                       sessions by time, not touching
 *	┌──────┬─────┐      ┌─────────┬──────────┐    ┌─────────┐   ┌─────────┐     ┌─────────┐
 *	│ hash │  ──┼─────>│ keys... │ newest ──┼──┐ │ [10,14] │   │ [31,31] │     │ [52,60] │
 *	└──────┴─────┘      │ sessions ────────┼┐ │ └─────────┘   └─────────┘     └─────────┘
 *	                    └──────────────────┘│ │      ↑             ↑               ↑↑
 *	                                        └─┼──────┴─────────────┴───────────────┘│
 *	                                          └─────────────────────────────────────┘
 * Most rows belong to the newest session of their key, which is at hand; others are
 * found by bisection.
 *
 * Invariant: two sessions of a key, in memory or stored, never touch.  So a stored one
 * that is not here lies between two neighbours in memory, or outside of all.
 *
 * Memory: keys and sessions are equal blocks in slabs, so forgetting gives memory
 * back; table and lists in the cache's own context, by-reference keys and what states
 * point to in aggregates->context.  Sessions are forgotten only between epochs, when
 * none is dirty.  States that cannot be freed one by one go all at once.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "compat.h"
#include "maintain/session_cache.h"

typedef struct KeySlot
{
	SessionKey *key;
	uint32		hash;
	char		status;
} KeySlot;

static inline bool key_matches(SessionCache *cache, const SessionKey *key);

/* The table searches for a key that is NULL: that of cache->probe_keys. */
#define SH_PREFIX			sessions
#define SH_ELEMENT_TYPE		KeySlot
#define SH_KEY_TYPE			SessionKey *
#define SH_KEY				key
#define SH_HASH_KEY(tb, key)	((key)->hash)
#define SH_EQUAL(tb, a, b)	key_matches((SessionCache *) (tb)->private_data, a)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a)	((a)->hash)
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define INITIAL_SLOTS		256
#define INITIAL_DIRTY		256
#define SLAB_BYTES			(64 * 1024)
#define BLOCKS_PER_SLAB		8		/* at least */
#define SHRINK_SAMPLE		1024	/* sessions looked at to choose which times to forget */
#define SHRINK_TO_PERCENT	75		/* of the bound, so that not every epoch shrinks */

/* Is that key the one being searched for? */
static inline bool
key_matches(SessionCache *cache, const SessionKey *key)
{
	return group_keys_equal(cache->partition, key->keys, session_key_nulls(cache, key),
							cache->probe_keys, cache->probe_nulls);
}

/* Bytes of a key's block. */
static Size
key_size(const SessionCache *cache)
{
	return MAXALIGN(offsetof(SessionKey, keys) + cache->partition->nparts * (sizeof(Datum) + sizeof(bool)));
}

/* Memory for equal blocks. */
static MemoryContext
create_blocks(MemoryContext parent, const char *name, Size size)
{
	Size		enough = BLOCKS_PER_SLAB * (size + 64);

	/* the name is a constant at every call, as the context wants it */
	return SlabContextCreate(parent, name, Max(SLAB_BYTES, TYPEALIGN(1024, enough)), size);
}

/* The table and lists of a cache without sessions. */
static void
cache_begin(SessionCache *cache)
{
	cache->table = sessions_create(cache->context, INITIAL_SLOTS, cache);
	cache->dirty_capacity = INITIAL_DIRTY;
	cache->dirty = MemoryContextAlloc(cache->context, cache->dirty_capacity * sizeof(FoldGroup *));
	cache->ndirty = 0;
	cache->nsessions = 0;
}

/* Makes an empty cache. */
SessionCache *
session_cache_create(const GroupKeys *partition, const GroupKeys *columns, Aggregates *aggregates, int64 gap)
{
	SessionCache *cache = palloc0(sizeof(SessionCache));

	cache->partition = partition;
	cache->columns = columns;
	cache->aggregates = aggregates;
	cache->gap = gap;
	cache->first_key = columns->nparts - 1;
	cache->forgotten = DT_NOEND;
	cache->forgot_timeless = true;
	cache->context = AllocSetContextCreate(CurrentMemoryContext, "deltaflow session cache", ALLOCSET_DEFAULT_SIZES);
	cache->key_blocks = create_blocks(CurrentMemoryContext, "deltaflow session keys", key_size(cache));
	cache->session_blocks = create_blocks(CurrentMemoryContext, "deltaflow sessions", aggregates->group_size);
	cache_begin(cache);
	return cache;
}

/* Forgets everything. */
void
session_cache_reset(SessionCache *cache, bool stored, TimestampTz newest)
{
	MemoryContextReset(cache->context);
	MemoryContextReset(cache->key_blocks);
	MemoryContextReset(cache->session_blocks);
	MemoryContextReset(cache->aggregates->context);
	cache->forgotten = stored ? newest : DT_NOBEGIN;
	cache->forgot_timeless = stored;
	cache_begin(cache);
}

/* All memory held, as the allocator counts it. */
Size
session_cache_bytes(const SessionCache *cache)
{
	return MemoryContextMemAllocated(cache->context, true) +
		MemoryContextMemAllocated(cache->key_blocks, true) +
		MemoryContextMemAllocated(cache->session_blocks, true) +
		MemoryContextMemAllocated(cache->aggregates->context, true);
}

/* Brings the table's line for this hash closer. */
void
session_cache_prefetch(const SessionCache *cache, uint32 hash)
{
	__builtin_prefetch(&cache->table->data[hash & cache->table->sizemask]);
}

/* The key that probably has this hash: the one in the hash's own place; NULL: there is none. */
static inline const SessionKey *
likely_key(const SessionCache *cache, uint32 hash)
{
	const KeySlot *slot = &cache->table->data[hash & cache->table->sizemask];

	return slot->status == sessions_SH_IN_USE && slot->hash == hash ? slot->key : NULL;
}

/* Brings that key closer. */
void
session_cache_prefetch_key(const SessionCache *cache, uint32 hash)
{
	const SessionKey *key = likely_key(cache, hash);

	if (key != NULL)
		__builtin_prefetch(key);
}

/* Brings its newest session closer. */
void
session_cache_prefetch_session(const SessionCache *cache, uint32 hash)
{
	const SessionKey *key = likely_key(cache, hash);

	if (key != NULL && key->newest != NULL)
	{
		__builtin_prefetch(key->newest);
		__builtin_prefetch((const char *) key->newest + 64);
	}
}

/* A copy of a key part in the sessions' memory. */
static Datum
keep_key(SessionCache *cache, const KeyPart *part, Datum value, bool isnull)
{
	MemoryContext old;

	if (isnull || part->type.by_value)
		return value;
	old = MemoryContextSwitchTo(cache->aggregates->context);
	value = datumCopy(value, false, part->type.length);
	MemoryContextSwitchTo(old);
	return value;
}

/* Frees copies of key parts. */
static void
release_keys(const GroupKeys *keys, const Datum *values, const bool *nulls)
{
	for (int i = 0; i < keys->nparts; i++)
	{
		if (!keys->parts[i].type.by_value && !nulls[i])
			pfree(DatumGetPointer(values[i]));
	}
}

/* Makes a key. */
static SessionKey *
make_key(SessionCache *cache, const Datum *keys, const bool *nulls, uint32 hash)
{
	SessionKey *key = MemoryContextAllocZero(cache->key_blocks, key_size(cache));

	key->hash = hash;
	key->capacity = 1;
	key->sessions = &key->single;
	key->known_timeless = !cache->forgot_timeless;
	for (int i = 0; i < cache->partition->nparts; i++)
		key->keys[i] = keep_key(cache, &cache->partition->parts[i], keys[i], nulls[i]);
	if (cache->partition->nparts > 0)
		memcpy(key->keys + cache->partition->nparts, nulls, cache->partition->nparts * sizeof(bool));
	return key;
}

/* Finds a key, or makes it. */
SessionKey *
session_cache_key(SessionCache *cache, const Datum *keys, const bool *nulls, uint32 hash)
{
	KeySlot    *slot;
	bool		found;

	cache->probe_keys = keys;
	cache->probe_nulls = nulls;
	slot = sessions_insert_hash(cache->table, NULL, hash, &found);
	if (!found)
	{
		slot->key = NULL;
		slot->key = make_key(cache, keys, nulls, hash);
	}
	return slot->key;
}

/* How many begin at or before that time. */
int
session_cache_position(const SessionCache *cache, const SessionKey *key, TimestampTz at)
{
	int			low = 0;
	int			high = key->n;

	if (key->n == 0 || at >= session_first(cache, key->newest))
		return key->n;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (session_first(cache, key->sessions[middle]) <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Room for one more session in a key's list. */
static void
grow_list(SessionCache *cache, SessionKey *key)
{
	FoldGroup **list;

	if (key->n < key->capacity)
		return;
	key->capacity *= 2;
	list = MemoryContextAllocHuge(cache->context, key->capacity * sizeof(FoldGroup *));
	memcpy(list, key->sessions, key->n * sizeof(FoldGroup *));
	if (key->sessions != &key->single)
		pfree(key->sessions);
	key->sessions = list;
}

/* Makes a session: see the header. */
FoldGroup *
session_cache_add(SessionCache *cache, SessionKey *key, int i, const Datum *keys,
				  const bool *nulls, TimestampTz at)
{
	FoldGroup  *session = MemoryContextAlloc(cache->session_blocks, cache->aggregates->group_size);
	bool	   *session_nulls = group_nulls(cache->columns, session);

	session->hash = key->hash;
	session->flags = GROUP_COMPLETE;
	ItemPointerSetInvalid(&session->tid);
	session->xmin = InvalidTransactionId;
	session->order = at;
	session->late_limit = DT_NOEND;
	for (int part = 0; part < cache->partition->nparts; part++)
	{
		session->keys[part] = keep_key(cache, &cache->partition->parts[part], keys[part], nulls[part]);
		session_nulls[part] = nulls[part];
	}
	session->keys[cache->first_key] = i < 0 ? (Datum) 0 : TimestampTzGetDatum(at);
	session_nulls[cache->first_key] = i < 0;
	aggregates_init(cache->aggregates, session);
	cache->nsessions++;

	if (i < 0)
	{
		session->order = DT_NOBEGIN;
		key->timeless = session;
		return session;
	}
	grow_list(cache, key);
	memmove(key->sessions + i + 1, key->sessions + i, (key->n - i) * sizeof(FoldGroup *));
	key->sessions[i] = session;
	key->newest = key->sessions[key->n++];
	return session;
}

/* Frees what a session points to and the session. */
static void
free_session(SessionCache *cache, FoldGroup *session)
{
	aggregates_release(cache->aggregates, session);
	release_keys(cache->columns, session->keys, group_nulls(cache->columns, session));
	pfree(session);
	cache->nsessions--;
}

/*
 * The later of two sessions becomes part of the earlier.  Of two rows that of the
 * earlier stays, whose first time is right; else the later's row becomes the earlier's.
 */
void
session_cache_absorb_next(SessionCache *cache, SessionKey *key, int i)
{
	FoldGroup  *earlier = key->sessions[i];
	FoldGroup  *later = key->sessions[i + 1];

	session_cache_mark_dirty(cache, earlier);
	session_cache_mark_dirty(cache, later);
	if (!(earlier->flags & GROUP_STORED) && (later->flags & GROUP_STORED))
	{
		earlier->tid = later->tid;
		earlier->xmin = later->xmin;
		earlier->flags |= GROUP_STORED | GROUP_NEW_KEY;
		later->flags &= ~GROUP_STORED;
	}
	later->flags |= SESSION_ABSORBED;
	earlier->order = later->order;
	session_cache_raise_key(cache, earlier, later->keys, group_nulls(cache->columns, later));

	key->n--;
	memmove(key->sessions + i + 1, key->sessions + i + 2, (key->n - i - 1) * sizeof(FoldGroup *));
	key->newest = key->sessions[key->n - 1];
}

/* The greatest images become the session's. */
void
session_cache_raise_key(SessionCache *cache, FoldGroup *session, const Datum *keys, const bool *nulls)
{
	if (!cache->partition->has_representative)
		return;
	for (int i = 0; i < cache->partition->nparts; i++)
	{
		const KeyPart *part = &cache->partition->parts[i];
		Datum		before = session->keys[i];

		if (nulls[i] || part->by_image || image_compare(part->type, keys[i], before) <= 0)
			continue;
		session->keys[i] = keep_key(cache, part, keys[i], false);
		if (!part->type.by_value)
			pfree(DatumGetPointer(before));
		session->flags |= GROUP_NEW_KEY;
	}
}

/* To be written. */
void
session_cache_mark_dirty(SessionCache *cache, FoldGroup *session)
{
	if (session->flags & GROUP_DIRTY)
		return;
	if (cache->ndirty == cache->dirty_capacity)
	{
		cache->dirty_capacity *= 2;
		cache->dirty = repalloc_huge(cache->dirty, cache->dirty_capacity * sizeof(FoldGroup *));
	}
	cache->dirty[cache->ndirty++] = session;
	session->flags |= GROUP_DIRTY;
}

/* All of them have been written. */
void
session_cache_clean(SessionCache *cache)
{
	for (int64 i = 0; i < cache->ndirty; i++)
	{
		FoldGroup  *session = cache->dirty[i];

		if (session->flags & SESSION_ABSORBED)
			free_session(cache, session);
		else
			session->flags &= ~(GROUP_DIRTY | GROUP_NEW_KEY);
	}
	cache->ndirty = 0;
}

/* ---- forgetting ---- */

/* For qsort. */
static int
compare_int64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

/* A time such that forgetting what ended up to it leaves about `keep` of all keys' newest sessions. */
static TimestampTz
time_to_forget(SessionCache *cache, double keep)
{
	int64		sample[SHRINK_SAMPLE];
	uint64		step = Max(cache->table->members / SHRINK_SAMPLE, 1);
	uint64		seen = 0;
	int			n = 0;
	sessions_iterator iterator;
	KeySlot    *slot;

	sessions_start_iterate(cache->table, &iterator);
	while (n < SHRINK_SAMPLE && (slot = sessions_iterate(cache->table, &iterator)) != NULL)
	{
		const SessionKey *key = slot->key;

		/* any of its sessions, as chosen by its hash */
		if (key->n > 0 && seen++ % step == 0)
			sample[n++] = session_last(key->sessions[key->hash % key->n]);
	}
	if (n == 0)
		return DT_NOEND;
	qsort(sample, n, sizeof(int64), compare_int64);
	return sample[Min((int) ((1.0 - keep) * n), n - 1)];
}

/* Forgets the sessions of a key that ended up to a time. */
static void
forget_sessions(SessionCache *cache, SessionKey *key, TimestampTz upto)
{
	int			kept = 0;
	bool		gap_below = false;	/* what was just forgotten lies below the next one kept */

	for (int i = 0; i < key->n; i++)
	{
		FoldGroup  *session = key->sessions[i];

		Assert(!(session->flags & GROUP_DIRTY));
		if (session_last(session) <= upto)
		{
			cache->forgotten = Max(cache->forgotten, session_last(session));
			free_session(cache, session);
			gap_below = true;
			continue;
		}
		if (gap_below)
			session->flags &= ~SESSION_KNOWN_BELOW;
		gap_below = false;
		key->sessions[kept++] = session;
	}
	if (gap_below)
		key->known_above = false;
	if (kept < key->n)
		key->whole = false;
	key->n = kept;
	key->newest = kept > 0 ? key->sessions[kept - 1] : NULL;
}

/* Forgets a key that has no sessions left; false: it has. */
static bool
forget_key(SessionCache *cache, SessionKey *key)
{
	if (key->n > 0)
		return false;
	if (key->timeless != NULL)
	{
		Assert(!(key->timeless->flags & GROUP_DIRTY));
		free_session(cache, key->timeless);
		cache->forgot_timeless = true;
	}
	if (key->sessions != &key->single)
		pfree(key->sessions);
	release_keys(cache->partition, key->keys, session_key_nulls(cache, key));
	pfree(key);
	return true;
}

/* A stored session was removed.  What was known of the space on both its sides is known of both together. */
static void
remove_session(SessionCache *cache, SessionKey *key, int i)
{
	FoldGroup  *session = key->sessions[i];
	bool		known_below = (session->flags & SESSION_KNOWN_BELOW) != 0;

	Assert(!(session->flags & GROUP_DIRTY));
	if (i < key->n - 1 && !known_below)
		key->sessions[i + 1]->flags &= ~SESSION_KNOWN_BELOW;
	else if (i == key->n - 1)
		key->known_above &= known_below;
	free_session(cache, session);
	key->n--;
	memmove(key->sessions + i, key->sessions + i + 1, (key->n - i) * sizeof(FoldGroup *));
	key->newest = key->n > 0 ? key->sessions[key->n - 1] : NULL;
}

/* Removes one session: see the header. */
void
session_cache_remove(SessionCache *cache, const Datum *keys, const bool *nulls, uint32 hash, TimestampTz first)
{
	KeySlot    *slot;
	int			i;

	cache->probe_keys = keys;
	cache->probe_nulls = nulls;
	slot = sessions_lookup_hash(cache->table, NULL, hash);
	if (slot == NULL)
		return;
	i = session_cache_position(cache, slot->key, first) - 1;
	if (i < 0 || session_first(cache, slot->key->sessions[i]) != first)
		return;
	remove_session(cache, slot->key, i);
	if (slot->key->timeless == NULL && forget_key(cache, slot->key))
		sessions_delete_item(cache->table, slot);
}

/* Forgets everything that ended up to a time; keys that have more stay in a new table. */
static void
forget_upto(SessionCache *cache, TimestampTz upto)
{
	struct sessions_hash *before = cache->table;
	sessions_iterator iterator;
	KeySlot    *slot;

	cache->table = sessions_create(cache->context, INITIAL_SLOTS, cache);
	sessions_start_iterate(before, &iterator);
	while ((slot = sessions_iterate(before, &iterator)) != NULL)
	{
		SessionKey *key = slot->key;
		bool		found;

		forget_sessions(cache, key, upto);
		if (forget_key(cache, key))
			continue;
		cache->probe_keys = key->keys;
		cache->probe_nulls = session_key_nulls(cache, key);
		sessions_insert_hash(cache->table, key, key->hash, &found)->key = key;
		Assert(!found);
	}
	sessions_destroy(before);
}

/* Everything goes. */
static void
forget_all(SessionCache *cache)
{
	TimestampTz newest = cache->forgotten;
	sessions_iterator iterator;
	KeySlot    *slot;

	sessions_start_iterate(cache->table, &iterator);
	while ((slot = sessions_iterate(cache->table, &iterator)) != NULL)
		if (slot->key->n > 0)
			newest = Max(newest, session_last(slot->key->newest));
	session_cache_reset(cache, true, newest);
}

/* Cuts the cache back: see the header. */
void
session_cache_shrink(SessionCache *cache, Size bytes, TimestampTz final)
{
	Size		held = session_cache_bytes(cache);

	Assert(cache->ndirty == 0);
	if (held <= bytes)
		return;
	if (!cache->aggregates->opaque)
	{
		double		keep = (double) bytes * SHRINK_TO_PERCENT / 100 / held;

		forget_upto(cache, Max(final, time_to_forget(cache, keep)));
		if (session_cache_bytes(cache) <= bytes)
			return;
	}
	forget_all(cache);
}
