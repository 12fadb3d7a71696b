/*
 * window_session.c
 *		Sessions against their definition: rows less than the gap apart are in one
 *		session, and nothing else is.  In every order and every batching, merging fresh
 *		sessions into stored ones ends where all rows at once end.
 *
 * LINK: src/window/session.c src/window/span.c
 */
#include "tap.h"			/* first: the server's headers redefine printf */

#include "postgres.h"

#include "window/session.h"
#include "window_random.h"

#define CASES	120000
#define ROWS	24

/* What session.c takes from the server. */
void
pg_qsort(void *base, size_t n, size_t size, int (*compare) (const void *, const void *))
{
	qsort(base, n, size, compare);
}

typedef struct Sessions
{
	int			n;
	SessionSpan span[ROWS];
} Sessions;

static int	failures = 0;

/* Tells of a case that went wrong; only of the first few. */
static void
check(bool condition, int64 gap, const int64 *times, int n, const char *what)
{
	if (condition || failures++ >= 5)
		return;
	printf("# %s: gap %lld times", what, (long long) gap);
	for (int i = 0; i < n; i++)
		printf(" %lld", (long long) times[i]);
	printf("\n");
}

/* Whether two rows are less than the gap apart. */
static bool
close_together(int64 one, int64 other, int64 gap)
{
	wide		apart = (wide) one - other;

	if (TIMESTAMP_NOT_FINITE(one) || TIMESTAMP_NOT_FINITE(other))
		return one == other;
	return (apart < 0 ? -apart : apart) < gap;
}

static int
compare_spans(const void *a, const void *b)
{
	int64		left = ((const SessionSpan *) a)->first;
	int64		right = ((const SessionSpan *) b)->first;

	return (left > right) - (left < right);
}

/* The definition: rows joined with every row close to them, until nothing changes. */
static void
sessions_by_definition(const int64 *times, int n, int64 gap, Sessions *sessions)
{
	int			group[ROWS];
	bool		changed = true;

	for (int i = 0; i < n; i++)
		group[i] = i;
	while (changed)
	{
		changed = false;
		for (int i = 0; i < n; i++)
			for (int j = 0; j < n; j++)
				if (group[j] < group[i] && close_together(times[i], times[j], gap))
				{
					group[i] = group[j];
					changed = true;
				}
	}
	sessions->n = 0;
	for (int g = 0; g < n; g++)
	{
		SessionSpan span = {PG_INT64_MAX, PG_INT64_MIN};

		for (int i = 0; i < n; i++)
			if (group[i] == g)
				span = (SessionSpan) {Min(span.first, times[i]), Max(span.last, times[i])};
		if (span.first <= span.last)
			sessions->span[sessions->n++] = span;
	}
	qsort(sessions->span, sessions->n, sizeof(SessionSpan), compare_spans);
}

static bool
same_sessions(const Sessions *one, const Sessions *other)
{
	return one->n == other->n && memcmp(one->span, other->span, one->n * sizeof(SessionSpan)) == 0;
}

/* Merges fresh spans into stored ones.  False: its account of who went where is wrong. */
static bool
merge(Sessions *stored, const Sessions *fresh, int64 gap)
{
	Sessions	merged = {0};
	SessionMerger merger;
	SessionMerge one;
	int			stored_seen = 0;
	int			fresh_seen = 0;

	session_merge_begin(&merger, stored->span, stored->n, fresh->span, fresh->n, gap);
	while (session_merge_next(&merger, &one))
	{
		SessionSpan whole = {PG_INT64_MAX, PG_INT64_MIN};

		if (one.stored_from != stored_seen || one.fresh_from != fresh_seen || one.nstored + one.nfresh == 0)
			return false;
		for (int i = 0; i < one.nstored; i++)
			whole = (SessionSpan) {Min(whole.first, stored->span[stored_seen + i].first),
				Max(whole.last, stored->span[stored_seen + i].last)};
		for (int i = 0; i < one.nfresh; i++)
			whole = (SessionSpan) {Min(whole.first, fresh->span[fresh_seen + i].first),
				Max(whole.last, fresh->span[fresh_seen + i].last)};
		if (whole.first != one.span.first || whole.last != one.span.last)
			return false;
		stored_seen += one.nstored;
		fresh_seen += one.nfresh;
		merged.span[merged.n++] = one.span;
	}
	if (stored_seen != stored->n || fresh_seen != fresh->n)
		return false;
	*stored = merged;
	return true;
}

/* Times that are often exactly a gap apart, or a microsecond more or less. */
static int64
time_near(const int64 *times, int n, int64 gap)
{
	wide		time;

	if (n == 0 || random_between(0, 5) == 0)
		return random_time();
	time = times[random_between(0, n - 1)] + (wide) gap * random_between(-2, 2) + random_between(-1, 1);
	return cut(time);
}

/* One history: rows come in batches, in any order. */
static void
try_history(void)
{
	int64		times[ROWS];
	int64		gap = random_between(0, 1) ? random_between(1, 10) : random_length();
	int			n = random_between(1, ROWS);
	Sessions	stored = {0};
	Sessions	expected;

	for (int i = 0; i < n; i++)
		times[i] = time_near(times, i, gap);
	for (int begun = 0; begun < n;)
	{
		int			some = random_between(1, n - begun);
		int64		batch[ROWS];
		Sessions	fresh;

		memcpy(batch, times + begun, some * sizeof(int64));
		fresh.n = sessions_of_times(batch, some, gap, fresh.span);
		begun += some;
		check(merge(&stored, &fresh, gap), gap, times, begun, "a merge's account");
		sessions_by_definition(times, begun, gap, &expected);
		check(same_sessions(&stored, &expected), gap, times, begun, "sessions");
	}
}

/* Spans that touch each other are one session even when both are fresh. */
static void
try_touching(void)
{
	int64		gap = random_between(1, 6);
	Sessions	stored = {0};
	Sessions	fresh = {.n = random_between(1, 8)};
	int64		times[ROWS];
	Sessions	expected;
	int			n = 0;

	for (int i = 0; i < fresh.n; i++)
	{
		/* a span of rows one microsecond apart, so that it is one session */
		int64		first = random_between(-20, 20);
		int64		last = first + random_between(0, 1);

		fresh.span[i] = (SessionSpan) {first, last};
		times[n++] = first;
		times[n++] = last;
	}
	gap = Max(gap, 2);
	qsort(fresh.span, fresh.n, sizeof(SessionSpan), compare_spans);
	check(merge(&stored, &fresh, gap), gap, times, n, "a merge's account of touching spans");
	sessions_by_definition(times, n, gap, &expected);
	check(same_sessions(&stored, &expected), gap, times, n, "sessions of touching spans");
}

/* The range of a session. */
static bool
ends(int64 last, int64 gap, int64 end, bool inclusive)
{
	bool		found;
	SessionSpan span = {last, last};

	return session_end(span, gap, &found) == end && found == inclusive;
}

static void
edges(void)
{
	SessionSpan stored[] = {{0, 10}, {30, 40}, {60, 70}};
	SessionSpan bridge = {20, 20};
	SessionMerger merger;
	SessionMerge merge;
	Interval	day = {.day = 1};
	Interval	nothing = {0};
	int64		gap;

	ok(session_continues(0, 9, 10), "less than the gap continues");
	ok(!session_continues(0, 10, 10), "exactly the gap separates");
	ok(!session_continues(MIN_TIMESTAMP, END_TIMESTAMP - 1, PG_INT64_MAX), "the calendar is longer than 64 bits");
	ok(!session_continues(END_TIMESTAMP - 1, DT_NOEND, PG_INT64_MAX), "infinity is a session of its own");
	ok(session_continues(DT_NOBEGIN, DT_NOBEGIN, 1), "with all rows at that infinity");
	ok(ends(5, 10, 15, false), "a session ends a gap after its last row");
	ok(ends(END_TIMESTAMP - 1, 1, DT_NOEND, false), "or at infinity");
	ok(ends(DT_NOBEGIN, 10, DT_NOBEGIN, true), "an infinite one includes its end");

	session_merge_begin(&merger, stored, 3, &bridge, 1, 11);
	ok(session_merge_next(&merger, &merge) && merge.nstored == 2 && merge.nfresh == 1 &&
	   merge.span.first == 0 && merge.span.last == 40, "a late row bridges two sessions");
	ok(session_merge_next(&merger, &merge) && merge.nstored == 1 && merge.nfresh == 0 &&
	   !session_merge_next(&merger, &merge), "and leaves the third alone");
	session_merge_begin(&merger, stored, 3, &bridge, 1, 10);
	ok(session_merge_next(&merger, &merge) && merge.nstored == 1 && merge.nfresh == 0 &&
	   session_merge_next(&merger, &merge) && merge.nstored == 0 && merge.nfresh == 1, "exactly a gap from both it is alone");
	ok(session_gap(&day, &gap).code == WINDOW_ACCEPTED && gap == USECS_PER_DAY, "a day is 24 hours");
	ok(session_gap(&nothing, &gap).code == WINDOW_NOT_POSITIVE, "a gap of nothing is refused");
}

int
main(void)
{
	random_begin();
	for (int i = 0; i < CASES; i++)
	{
		try_history();
		try_touching();
	}
	ok(failures == 0, "%d random histories end as their definition says", CASES);
	edges();
	return done_testing();
}
