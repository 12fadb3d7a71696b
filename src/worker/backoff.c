/*
 * backoff.c
 *		Delays: between failures, and between epochs.
 *
 * Pure functions of their arguments, so that test/unit can walk them.
 */
#include "postgres.h"

#include "worker/backoff.h"

/* An epoch's work may be repeated after this many times its own length. */
#define GAP_FACTOR 8

#define LOCK_RETRY_MS		500
#define LOCK_NEWS_FAILURES	4
/* Intervals that an epoch of a worker that is behind should take. */
#define BEHIND_FACTOR 2

long
backoff_delay(const Backoff *backoff)
{
	long		delay = backoff->first_ms;

	if (backoff->failures <= 0)
		return 0;
	for (int i = 1; i < backoff->failures && delay < backoff->most_ms; i++)
		delay *= 2;
	return Min(delay, backoff->most_ms);
}

long
backoff_failed(Backoff *backoff)
{
	backoff->failures++;
	return backoff_delay(backoff);
}

long
backoff_for_lock(const Backoff *backoff)
{
	return Min(backoff_delay(backoff), LOCK_RETRY_MS);
}

bool
backoff_lock_is_news(const Backoff *backoff)
{
	return backoff->failures >= LOCK_NEWS_FAILURES;
}

void
backoff_succeeded(Backoff *backoff)
{
	backoff->failures = 0;
}

/*
 * A record that arrives just after an epoch's poll waits for the rest of that
 * epoch, the gap, and the next epoch's work: work + gap + work.  Keeping that sum
 * at half the interval, the other half being the broker's and the scheduler's, is
 * what the second bound says; the first keeps light epochs frequent, at a fixed
 * share of the processor.
 *
 * A worker that is behind makes nothing fresher by hurrying: the client fills its
 * queue meanwhile, and a larger epoch writes each group fewer times.
 */
long
epoch_gap(long work_ms, long interval_ms, bool behind)
{
	long		light = GAP_FACTOR * work_ms;
	long		fresh = interval_ms / 2 - 2 * work_ms;

	if (behind)
		return Max(0, BEHIND_FACTOR * interval_ms - work_ms);
	return Max(0, Min(light, fresh));
}
