/*
 * process.h
 *		What launcher, supervisors and pipeline workers have in common as processes.
 */
#ifndef DELTAFLOW_WORKER_PROCESS_H
#define DELTAFLOW_WORKER_PROCESS_H

#include "postmaster/bgworker.h"

#include "worker/slots.h"

/* What a parent tells the process it starts; travels in bgw_extra. */
typedef struct WorkerArgs
{
	SlotClaim	claim;
	Oid			database;
	int64		pipeline;		/* 0: supervisor */
} WorkerArgs;

/* Registers the launcher; from _PG_init. */
extern void process_register_launcher(void);

/*
 * Registers a dynamic worker; the caller's latch is set when it comes up or goes.
 * False when the server has no background worker left.  The handle is palloc'd.
 */
extern bool process_start(const char *function, const char *type, const char *name,
						  const WorkerArgs *args, BackgroundWorkerHandle **handle);

/* First call of a main function: signals and settings. */
extern void process_begin(void);

/* Then, but for the launcher: takes the slot and connects; exits when it is not wanted any more. */
extern WorkerArgs process_connect(void);

/*
 * At the top of every loop, outside transactions: exits when told to stop,
 * reads a changed configuration, does what other processes ask of this one.
 */
extern void process_interrupts(void);

/* Tells the server's statistics what was done since, when it was some time ago: autovacuum goes by them. */
extern void process_statistics(void);

/* Says in pg_stat_activity what comes now; tells the statistics all when that is nothing. */
extern void process_activity(bool busy, const char *text);

#endif							/* DELTAFLOW_WORKER_PROCESS_H */
