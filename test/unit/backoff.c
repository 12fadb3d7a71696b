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

	ok(epoch_gap(0, 100, false) == 0, "no work, no gap");
	ok(epoch_gap(1, 100, false) == 8, "a light epoch is repeated after a few ms");
	ok(epoch_gap(25, 100, false) == 0, "a quarter of the interval of work leaves no gap");
	ok(epoch_gap(16, 100, false) == 18, "at half load work and gap are alike");
	for (long work = 0; work <= 1000; work++)
	{
		long		gap = epoch_gap(work, 100, false);

		negative |= gap < 0;
		if (gap > 0)
			fresh &= 2 * work + gap <= 50;
		if (work <= 5)
			rising &= gap >= last;
		last = gap;
	}
	ok(epoch_gap(30, 100, true) == 170 && epoch_gap(250, 100, true) == 0, "a worker that is behind makes larger epochs");
	ok(!negative, "no negative gap");
	ok(fresh, "no record waits longer than half the interval, unless one epoch takes that long");
	ok(rising, "the gap grows with the work of light epochs");
}

int
main(void)
{
	ladder();
	gaps();
	return done_testing();
}
