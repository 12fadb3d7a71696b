/*
 * dead_rate.c
 *		How many of the last records were dead letters.
 *
 * A wrong schema must not turn a topic into a table of dead letters, so a pipeline
 * that sets aside more than its topic's dead_letter_limit pauses.  The last records are
 * counted in parts of equal size; a full part makes the oldest one forgotten.
 */
#include "postgres.h"

#include "ingest/dead_rate.h"

void
dead_rate_add(DeadRate *rate, int64 window, bool dead)
{
	if (rate->records[rate->at] >= Max(window / DEAD_RATE_PARTS, 1))
	{
		rate->at = (rate->at + 1) % DEAD_RATE_PARTS;
		rate->records[rate->at] = rate->dead[rate->at] = 0;
	}
	rate->records[rate->at]++;
	rate->dead[rate->at] += dead;
}

int64
dead_rate_count(const DeadRate *rate)
{
	int64		dead = 0;

	for (int i = 0; i < DEAD_RATE_PARTS; i++)
		dead += rate->dead[i];
	return dead;
}
