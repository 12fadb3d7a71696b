/*
 * backoff.h
 *		How long to wait before trying again: pure, without clock or catalog.
 */
#ifndef DELTAFLOW_WORKER_BACKOFF_H
#define DELTAFLOW_WORKER_BACKOFF_H

/* A ladder of delays that double from first_ms up to most_ms. */
typedef struct Backoff
{
	int			failures;		/* in a row */
	long		first_ms;
	long		most_ms;
} Backoff;

/* Counts a failure and returns the delay before the next attempt. */
extern long backoff_failed(Backoff *backoff);

/* The delay after that many failures in a row; 0 after none. */
extern long backoff_delay(const Backoff *backoff);
extern void backoff_succeeded(Backoff *backoff);

/*
 * After a failure that was a relation locked by somebody's DDL: tried again soon and
 * at a steady pace, and worth telling only when it lasts.
 */
extern long backoff_for_lock(const Backoff *backoff);
extern bool backoff_lock_is_news(const Backoff *backoff);

/*
 * Milliseconds between the end of an epoch that worked for work_us and the start
 * of the next, when everything that had arrived was taken.  The aim is that no
 * record waits longer than interval_ms until its commit, and that a lightly
 * loaded worker spends most of its time asleep.  backlog_ms: how long what waits at
 * the broker will take.
 */
extern long epoch_gap(long work_us, long interval_ms, long backlog_ms);

/* Milliseconds after which an epoch takes no more records, with that backlog when it begins. */
extern long epoch_work(long interval_ms, long backlog_ms);

#endif							/* DELTAFLOW_WORKER_BACKOFF_H */
