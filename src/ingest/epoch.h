/*
 * epoch.h
 *		A pipeline at run time, and the one function that moves it: an epoch.
 */
#ifndef DELTAFLOW_INGEST_EPOCH_H
#define DELTAFLOW_INGEST_EPOCH_H

#include "catalog/catalog.h"

typedef struct Pipeline Pipeline;	/* loaded, with consumer, decoder, views; in one memory context */

typedef enum EpochOutcome
{
	EPOCH_COMMITTED,			/* something was consumed and committed */
	EPOCH_IDLE,					/* nothing to do now */
	EPOCH_RELOAD,				/* the catalog moved on: close, load again */
	EPOCH_PAUSED,				/* the pipeline is paused or failed, reason in the catalog */
	EPOCH_AGAIN					/* the attempt failed and was rolled back; back off as pipeline_backoff() says, then call again */
} EpochOutcome;

/*
 * Loads the pipeline and opens its consumer at the stored positions.  To be
 * called outside a transaction (it runs its own) from a worker.  NULL when the
 * pipeline is gone.
 */
extern Pipeline *pipeline_load(int64 id);
extern void pipeline_close(Pipeline *pipeline);

/*
 * One epoch = one transaction.  Takes up to the configured number of records
 * and time, stores, folds, moves positions, commits.  Never waits while a
 * transaction is open.  Errors do not escape but for those of shutdown.
 */
extern EpochOutcome pipeline_epoch(Pipeline *pipeline);

/* Whether server, user mapping or another definition changed since loading, as far as invalidations have arrived. */
extern bool pipeline_is_stale(const Pipeline *pipeline);

extern int	pipeline_wakeup_fd(Pipeline *pipeline);
extern void pipeline_drain_wakeup(Pipeline *pipeline);

/* Whether the last epoch stopped at a limit, so that more is waiting: the next should follow at once. */
extern bool pipeline_full(const Pipeline *pipeline);

/* How long what is known to wait at the broker will take, at the last epoch's pace. */
extern long pipeline_backlog_ms(const Pipeline *pipeline);

/* Milliseconds to wait before the next call when it said IDLE or AGAIN. */
extern long pipeline_backoff(const Pipeline *pipeline);

/*
 * In the caller's backend and transaction: takes what the topic holds now, in one
 * epoch per call of the loop inside, all in the caller's transaction.  Returns
 * records taken.  For run_once().  close_windows: the input is over, and when all of
 * it is taken the watermark moves to infinity.
 */
extern int64 pipeline_run_once(int64 id, bool close_windows);

#endif							/* DELTAFLOW_INGEST_EPOCH_H */
