/*
 * session.h
 *		Sessions: rows of a key with pauses shorter than the gap between them.
 *
 * A session is [first, last + gap): a row exactly `gap` after the last one begins a new
 * session.  Infinite times are sessions of their own.  Nothing of a session depends on
 * the order in which its rows came.
 */
#ifndef DELTAFLOW_WINDOW_SESSION_H
#define DELTAFLOW_WINDOW_SESSION_H

#include "datatype/timestamp.h"

#include "window/refusal.h"

/* The rows of one session: the first and the last time. */
typedef struct SessionSpan
{
	int64		first;
	int64		last;
} SessionSpan;

/*
 * One session after a merge and what becomes of it: stored[stored_from ..] and
 * fresh[fresh_from ..], so many of each.  nfresh = 0: nothing changes.
 */
typedef struct SessionMerge
{
	SessionSpan span;
	int			stored_from;
	int			nstored;
	int			fresh_from;
	int			nfresh;
} SessionMerge;

/* Goes through the merges, by rising time. */
typedef struct SessionMerger
{
	const SessionSpan *stored;	/* each by rising first time, and not touching one another */
	int			nstored;
	const SessionSpan *fresh;	/* by rising first time; may touch */
	int			nfresh;
	int64		gap;
	int			stored_next;
	int			fresh_next;
} SessionMerger;

/* The gap of an interval, or why it is none. */
extern WindowRefusal session_gap(const Interval *interval, int64 *gap);

/* Whether a row at `time` continues a session whose rows end at `last`; last <= time. */
extern bool session_continues(int64 last, int64 time, int64 gap);

/* Whether two spans are (parts of) one session, in whichever order. */
extern bool session_touches(SessionSpan one, SessionSpan other, int64 gap);

/* The times, sorted here, as spans that do not touch.  spans has room for n; their number. */
extern int	sessions_of_times(int64 *times, int n, int64 gap, SessionSpan *spans);

extern void session_merge_begin(SessionMerger *merger, const SessionSpan *stored, int nstored,
								const SessionSpan *fresh, int nfresh, int64 gap);
extern bool session_merge_next(SessionMerger *merger, SessionMerge *merge);

/*
 * Where the session's range ends: last + gap, infinity beyond the calendar.  Of an
 * infinite time the range is [time, time], both included: else it would be empty.
 */
extern int64 session_end(SessionSpan span, int64 gap, bool *inclusive);

#endif							/* DELTAFLOW_WINDOW_SESSION_H */
