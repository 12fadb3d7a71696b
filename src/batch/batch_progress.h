/*
 * batch_progress.h
 *		How far batch work has come, for others to see in deltaflow.progress.
 */
#ifndef DELTAFLOW_BATCH_BATCH_PROGRESS_H
#define DELTAFLOW_BATCH_BATCH_PROGRESS_H

typedef enum BatchPhase
{
	PHASE_READING,				/* the definition runs over the source */
	PHASE_WRITING				/* the old range is replaced */
} BatchPhase;

/* Shared memory and the transaction hook; from _PG_init.  Does nothing when not preloaded. */
extern void batch_progress_init(void);

/*
 * Begins to report in this backend: command is a static string.  rows_total is an
 * estimate, -1 when none.  Ends by itself with the transaction.
 */
extern void batch_progress_begin(const char *command, Oid view, double rows_total);
extern void batch_progress_phase(BatchPhase phase);
extern void batch_progress_end(void);

#endif							/* DELTAFLOW_BATCH_BATCH_PROGRESS_H */
