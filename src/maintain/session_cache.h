/*
 * session_cache.h
 *		The sessions that a view has in memory: by key, and in each key by time.
 *
 * A session is a FoldGroup, so that aggregates step, store and combine it as any other
 * group: its keys are those of PARTITION BY and then its first time; `order` is its
 * last time.  Sessions of a key never touch one another; rows without a time have one
 * of their own.  Blocks never move.
 *
 * What is in the table but not in memory is known piece by piece: a session that is
 * marked SESSION_KNOWN_BELOW has, in the table too, nothing between itself and the one
 * before it here; `known_above` says so of what lies above a key's newest one.  And no
 * session that was forgotten has a last time above `forgotten`.
 */
#ifndef DELTAFLOW_MAINTAIN_SESSION_CACHE_H
#define DELTAFLOW_MAINTAIN_SESSION_CACHE_H

#include "maintain/group_cache.h"
#include "window/session.h"

#define SESSION_KNOWN_BELOW	0x0010	/* nothing is stored between it and the one before it in memory */
#define SESSION_ABSORBED	0x0020	/* became part of another: its row, if any, is to be deleted */

/* A key of PARTITION BY. */
typedef struct SessionKey
{
	uint32		hash;
	int			n;				/* sessions in memory */
	int			capacity;
	bool		known_above;	/* nothing is stored above the newest */
	bool		known_timeless; /* nothing is stored of rows without a time but what is here */
	bool		whole;			/* every session that was not final at some time and is stored is here */
	FoldGroup **sessions;		/* by time; points to `single` while there is no more than one */
	FoldGroup  *newest;			/* the last of them, NULL: none */
	FoldGroup  *timeless;		/* of rows without a time, NULL: none */
	FoldGroup  *single;
	Datum		keys[FLEXIBLE_ARRAY_MEMBER];	/* then null flags */
} SessionKey;

typedef struct SessionCache
{
	/* fixed once made */
	const GroupKeys *partition; /* PARTITION BY */
	const GroupKeys *columns;	/* and the first time: keys of a session, columns of the index */
	Aggregates *aggregates;
	int64		gap;
	int			first_key;		/* which of a session's keys is its first time */

	/* what the table may hold beyond what is here */
	TimestampTz forgotten;
	bool		forgot_timeless;

	/* the sessions */
	MemoryContext context;
	MemoryContext key_blocks;
	MemoryContext session_blocks;
	struct sessions_hash *table;
	int64		nsessions;

	/* sessions to be written, absorbed ones among them */
	FoldGroup **dirty;
	int64		ndirty;
	int64		dirty_capacity;

	/* what the table is being searched for */
	const Datum *probe_keys;
	const bool *probe_nulls;
} SessionCache;

/* All must live as long as the cache, which lives in a child of CurrentMemoryContext. */
extern SessionCache *session_cache_create(const GroupKeys *partition, const GroupKeys *columns,
										  Aggregates *aggregates, int64 gap);

/* Forgets everything; `stored`: there may be sessions in the table, of any time up to `newest`. */
extern void session_cache_reset(SessionCache *cache, bool stored, TimestampTz newest);

extern Size session_cache_bytes(const SessionCache *cache);

/* Hints that a key with this hash will be looked for: first its place in the table, then itself, then its newest session. */
extern void session_cache_prefetch(const SessionCache *cache, uint32 hash);
extern void session_cache_prefetch_key(const SessionCache *cache, uint32 hash);
extern void session_cache_prefetch_session(const SessionCache *cache, uint32 hash);

/* Finds a key, or makes it: copied, without sessions. */
extern SessionKey *session_cache_key(SessionCache *cache, const Datum *keys, const bool *nulls, uint32 hash);

/* How many of the key's sessions begin at or before that time. */
extern int	session_cache_position(const SessionCache *cache, const SessionKey *key, TimestampTz at);

/*
 * Makes a session of one time, the key's i-th by time, or the timeless one (i < 0).
 * keys: those of PARTITION BY.  Aggregates are at their beginning, flags 0.
 */
extern FoldGroup *session_cache_add(SessionCache *cache, SessionKey *key, int i, const Datum *keys,
									const bool *nulls, TimestampTz at);

/* The i-th and the one after it become one, the states being the caller's to merge before. */
extern void session_cache_absorb_next(SessionCache *cache, SessionKey *key, int i);

/* A row with an equal key was taken in, or its row was found: the greatest images become the session's. */
extern void session_cache_raise_key(SessionCache *cache, FoldGroup *session, const Datum *keys, const bool *nulls);

/* To be written. */
extern void session_cache_mark_dirty(SessionCache *cache, FoldGroup *session);

/* All of them have been written; absorbed ones are gone. */
extern void session_cache_clean(SessionCache *cache);

/* The row of the key's session that begins there was removed: the session goes, if it is here.  It must not be dirty. */
extern void session_cache_remove(SessionCache *cache, const Datum *keys, const bool *nulls, uint32 hash, TimestampTz first);

/*
 * Forgets sessions, none of which may be dirty, until the rest fit: those with a last
 * time not above `final`, then the oldest.
 */
extern void session_cache_shrink(SessionCache *cache, Size bytes, TimestampTz final);

static inline TimestampTz
session_first(const SessionCache *cache, const FoldGroup *session)
{
	return DatumGetTimestampTz(session->keys[cache->first_key]);
}

static inline TimestampTz
session_last(const FoldGroup *session)
{
	return session->order;
}

static inline const bool *
session_key_nulls(const SessionCache *cache, const SessionKey *key)
{
	return (const bool *) (key->keys + cache->partition->nparts);
}

#endif							/* DELTAFLOW_MAINTAIN_SESSION_CACHE_H */
