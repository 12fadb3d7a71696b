/*
 * dead_rate.h
 *		How many of the last records were dead letters: pure, without clock or catalog.
 */
#ifndef DELTAFLOW_INGEST_DEAD_RATE_H
#define DELTAFLOW_INGEST_DEAD_RATE_H

#define DEAD_RATE_PARTS	20

/* The last records, in parts of which the oldest is forgotten as a whole.  All zero: none were seen. */
typedef struct DeadRate
{
	int			at;				/* the part being filled */
	int64		records[DEAD_RATE_PARTS];
	int64		dead[DEAD_RATE_PARTS];
} DeadRate;

/* One more record, and whether it was dead; window: how many records are the last ones. */
extern void dead_rate_add(DeadRate *rate, int64 window, bool dead);

/* Dead ones among the last window records, give or take a twentieth of them. */
extern int64 dead_rate_count(const DeadRate *rate);

#endif							/* DELTAFLOW_INGEST_DEAD_RATE_H */
