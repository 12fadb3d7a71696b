/*
 * counters.h
 *		Counters that a running worker keeps in shared memory, between what the
 *		catalog says once per epoch.
 */
#ifndef DELTAFLOW_STATS_COUNTERS_H
#define DELTAFLOW_STATS_COUNTERS_H

/*
 * At the end of each epoch that committed: records taken, and the newest of their
 * timestamps (-1: none has one).  Does nothing outside a pipeline worker.
 */
extern void counters_epoch(int64 records, int64 newest_record_ms);

#endif							/* DELTAFLOW_STATS_COUNTERS_H */
