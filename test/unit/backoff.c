/*
 * backoff.c
 *		Delays of worker/backoff.c.
 *
 * LINK: src/worker/backoff.c
 */
#include "tap.h"			/* first: the server's headers redefine printf */

#include "postgres.h"

#include "worker/backoff.h"

static void
ladder(void)
{
	Backoff		backoff = {.first_ms = 500, .most_ms = 60000};
	long		last = 0;
	bool		doubles = true;

	ok(backoff_delay(&backoff) == 0, "no delay before a failure");
	ok(backoff_failed(&backoff) == 500, "the first failure waits first_ms");
	ok(backoff_failed(&backoff) == 1000, "the second twice as long");
	for (int i = 0; i < 100000; i++)
	{
		long		delay = backoff_failed(&backoff);

		doubles &= delay == Min(2 * (last ? last : 1000), 60000);
		last = delay;
	}
	ok(doubles, "then doubling up to most_ms");
	ok(backoff_for_lock(&backoff) == 500 && backoff_lock_is_news(&backoff), "for a lock soon again, and it is told that it lasts");
	backoff_succeeded(&backoff);
	backoff_failed(&backoff);
	ok(backoff_for_lock(&backoff) == 500 && !backoff_lock_is_news(&backoff), "but not at first");
	ok(last == 60000, "and there it stays");
	backoff_succeeded(&backoff);
	ok(backoff_delay(&backoff) == 0, "a success ends the row");
	ok(backoff_failed(&backoff) == 500, "and the next one begins at first_ms");
	backoff.failures = -1;
	ok(backoff_delay(&backoff) == 0, "fewer than no failures are none");
}

static void
gaps(void)
{
	bool		fresh = true;
	bool		rising = true;
	bool		negative = false;
	long		last = 0;

	ok(epoch_gap(0, 100, 0) == 0, "no work, no gap");
	ok(epoch_gap(1000, 100, 0) == 8, "a light epoch is repeated after a few ms");
	ok(epoch_gap(400, 100, 0) == 4, "the lightest does not follow at once either");
	ok(epoch_gap(25000, 100, 0) == 0, "a quarter of the interval of work leaves no gap");
	ok(epoch_gap(12000, 100, 0) == 13, "at half load work and gap are alike");
	for (long work = 0; work <= 1000; work++)
	{
		long		gap = epoch_gap(work * 1000, 100, 0);

		negative |= gap < 0;
		if (gap > 0)
			fresh &= work + gap <= 25;
		if (work <= 2)
			rising &= gap >= last;
		last = gap;
	}
	ok(epoch_gap(30000, 100, 2000) == 170 && epoch_gap(250000, 100, 2000) == 0, "a worker that is behind makes larger epochs");
	ok(epoch_gap(16000, 100, 1000) == 9, "a second of backlog is caught up with, not saved up");
	ok(!negative, "no negative gap");
	ok(fresh, "epochs begin a quarter of the interval apart, unless one takes longer");
	ok(rising, "the gap grows with the work of light epochs");
}

static void
work(void)
{
	bool		within = true;
	bool		rising = true;
	long		last = 0;

	ok(epoch_work(100, 0) == 25, "an epoch takes records for a quarter of the interval");
	ok(epoch_work(100, 80) == 25 && epoch_work(100, 2000) == 500, "a quarter of a large backlog");
	ok(epoch_work(100, 1000000) == 1000, "ten intervals at most");
	for (long backlog = 0; backlog < 10000; backlog += 7)
	{
		long		ms = epoch_work(100, backlog);

		within &= ms == 25 || ms <= backlog / 4;
		rising &= ms >= last;
		last = ms;
	}
	ok(within, "never a larger share of the backlog");
	ok(rising, "more with more backlog");
}

int
main(void)
{
	ladder();
	gaps();
	work();
	return done_testing();
}
