/*
 * worker.h
 *		The worker part's entry for _PG_init.
 */
#ifndef DELTAFLOW_WORKER_WORKER_H
#define DELTAFLOW_WORKER_WORKER_H

/* Settings; and, while libraries are preloaded, shared memory, hooks and the launcher. */
extern void worker_init(void);

#endif							/* DELTAFLOW_WORKER_WORKER_H */
