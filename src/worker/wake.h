/*
 * wake.h
 *		Telling workers that the catalog has changed, and waiters that an epoch has committed.
 */
#ifndef DELTAFLOW_WORKER_WAKE_H
#define DELTAFLOW_WORKER_WAKE_H

/*
 * To be called by whatever changes deltaflow's tables for workers to act on
 * (a new, dropped, paused or changed pipeline or view).  When this transaction
 * commits, the supervisor and the pipeline workers of this database look at the
 * catalog; a supervisor is started when there is none.  Costs nothing more when
 * called again; does nothing in servers that do not preload the library.
 */
extern void wake_workers_at_commit(void);

/* Whether the server preloads the library, so that workers can exist at all. */
extern bool workers_possible(void);

#endif							/* DELTAFLOW_WORKER_WAKE_H */
