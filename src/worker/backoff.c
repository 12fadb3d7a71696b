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

/* With a backlog of more intervals than this a worker is behind, not just interrupted: its epochs should take so many. */
#define BEHIND_INTERVALS 10
#define BEHIND_FACTOR 2

/* A worker that is not behind makes so many epochs in an interval, when their work is worth it. */
#define INTERVAL_EPOCHS 4

/* An epoch takes at most this share of the backlog, and so many intervals. */
#define BACKLOG_SHARE 4
#define MOST_INTERVALS 10

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
 * A record that arrives just after an epoch's last poll waits for the rest of that
 * epoch, the gap, and the next epoch's work.  Half the interval is for that, the
 * other half being the broker's and the scheduler's: a quarter from one epoch's
 * start to the next, and a quarter for the work.  The first bound keeps light epochs
 * frequent, at a fixed share of the processor.
 *
 * A worker that is behind makes nothing fresher by hurrying: the client fills its
 * queue meanwhile, and a larger epoch writes each group fewer times.
 */
long
epoch_gap(long work_us, long interval_ms, long backlog_ms)
{
	long		light = GAP_FACTOR * work_us;
	long		fresh = interval_ms * 1000 / INTERVAL_EPOCHS - work_us;

	if (backlog_ms > BEHIND_INTERVALS * interval_ms)
		return Max(0, BEHIND_FACTOR * interval_ms - work_us / 1000);
	return Max(0, (Min(light, fresh) + 999) / 1000);
}

/*
 * Records arrive while an epoch works, and chasing the last of them would make it the
 * longer the higher the load is: it takes no more after its quarter.  Far behind, an
 * epoch may take as long as costs the reader nothing: a quarter of the wait that the
 * newest record has before it anyway.
 */
long
epoch_work(long interval_ms, long backlog_ms)
{
	return Max(interval_ms / INTERVAL_EPOCHS, Min(backlog_ms / BACKLOG_SHARE, MOST_INTERVALS * interval_ms));
}
