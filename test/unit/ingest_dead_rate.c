/*
 * ingest_dead_rate.c
 *		The share of dead records among the last ones, of ingest/dead_rate.c.
 *
 * LINK: src/ingest/dead_rate.c
 */
#include "tap.h"			/* first: the server's headers redefine printf */

#include "postgres.h"

#include "ingest/dead_rate.h"

static void
add(DeadRate *rate, int n, int64 window, bool dead)
{
	for (int i = 0; i < n; i++)
		dead_rate_add(rate, window, dead);
}

int
main(void)
{
	DeadRate	rate = {0};

	add(&rate, 100, 1000, true);
	ok(dead_rate_count(&rate) == 100, "all that is dead counts");
	add(&rate, 850, 1000, false);
	ok(dead_rate_count(&rate) == 100, "as long as it is among the last records");
	add(&rate, 150, 1000, false);
	ok(dead_rate_count(&rate) == 0, "and no longer");
	add(&rate, 100000, 1000, true);
	ok(dead_rate_count(&rate) >= 950 && dead_rate_count(&rate) <= 1000, "it cannot be more than the window");
	memset(&rate, 0, sizeof(rate));
	add(&rate, 7, 1, true);
	ok(dead_rate_count(&rate) <= DEAD_RATE_PARTS, "a window of one is none smaller than its parts");
	return done_testing();
}
