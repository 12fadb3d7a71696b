/*
 * session.c
 *		Merging sessions.
 *
 * Rows touch when less than the gap is between them; sessions are what hangs together
 * by touching.  In time order that is a single pass: a row or span belongs to the
 * session at hand when it begins less than `gap` after the latest time seen.
 *
 *		stored    |---------|              |------|             |---|
 *		fresh             |----------------|          |--|
 *				          \ bridges two /             nobody's: a new session
 *		merged    |-----------------------------|     |--|      |---|
 *
 * So a merge of stored sessions with an epoch's fresh ones walks both lists once, and
 * each result takes a run of consecutive entries of either.
 */
#include "postgres.h"

#include "window/session.h"
#include "window/span.h"

WindowRefusal
session_gap(const Interval *interval, int64 *gap)
{
	return window_length(interval, "gap", gap);
}

bool
session_continues(int64 last, int64 time, int64 gap)
{
	if (TIMESTAMP_NOT_FINITE(last) || TIMESTAMP_NOT_FINITE(time))
		return last == time;
	return time_between(last, time) < (uint64) gap;
}

bool
session_touches(SessionSpan one, SessionSpan other, int64 gap)
{
	SessionSpan earlier = one.first <= other.first ? one : other;
	SessionSpan later = one.first <= other.first ? other : one;

	return later.first <= earlier.last || session_continues(earlier.last, later.first, gap);
}

static int
compare_times(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return (left > right) - (left < right);
}

int
sessions_of_times(int64 *times, int n, int64 gap, SessionSpan *spans)
{
	int			nspans = 0;

	qsort(times, n, sizeof(int64), compare_times);
	for (int i = 0; i < n; i++)
	{
		if (nspans > 0 && session_continues(spans[nspans - 1].last, times[i], gap))
			spans[nspans - 1].last = times[i];
		else
			spans[nspans++] = (SessionSpan) {times[i], times[i]};
	}
	return nspans;
}

void
session_merge_begin(SessionMerger *merger, const SessionSpan *stored, int nstored,
					const SessionSpan *fresh, int nfresh, int64 gap)
{
	merger->stored = stored;
	merger->nstored = nstored;
	merger->fresh = fresh;
	merger->nfresh = nfresh;
	merger->gap = gap;
	merger->stored_next = 0;
	merger->fresh_next = 0;
}

/* The span that begins next in either list; NULL at the end of both. */
static const SessionSpan *
next_span(const SessionMerger *merger, bool *is_stored)
{
	const SessionSpan *stored = merger->stored_next < merger->nstored ? &merger->stored[merger->stored_next] : NULL;
	const SessionSpan *fresh = merger->fresh_next < merger->nfresh ? &merger->fresh[merger->fresh_next] : NULL;

	*is_stored = stored != NULL && (fresh == NULL || stored->first <= fresh->first);
	return *is_stored ? stored : fresh;
}

bool
session_merge_next(SessionMerger *merger, SessionMerge *merge)
{
	bool		is_stored;
	const SessionSpan *span = next_span(merger, &is_stored);

	if (span == NULL)
		return false;
	merge->span = *span;
	merge->stored_from = merger->stored_next;
	merge->fresh_from = merger->fresh_next;
	while (span != NULL && session_touches(merge->span, *span, merger->gap))
	{
		merge->span.last = Max(merge->span.last, span->last);
		merger->stored_next += is_stored;
		merger->fresh_next += !is_stored;
		span = next_span(merger, &is_stored);
	}
	merge->nstored = merger->stored_next - merge->stored_from;
	merge->nfresh = merger->fresh_next - merge->fresh_from;
	return true;
}

int64
session_end(SessionSpan span, int64 gap, bool *inclusive)
{
	*inclusive = TIMESTAMP_NOT_FINITE(span.last);
	return time_plus(span.last, gap);
}
