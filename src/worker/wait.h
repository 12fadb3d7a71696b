/*
 * wait.h
 *		The one place where deltaflow sleeps.
 */
#ifndef DELTAFLOW_WORKER_WAIT_H
#define DELTAFLOW_WORKER_WAIT_H

/* What is waited for, as pg_stat_activity shows it (by name from 17 on). */
typedef enum WaitReason
{
	WAIT_FOR_BROKER,			/* an answer or an acknowledgement */
	WAIT_FOR_RECORDS,			/* a pipeline with nothing to do */
	WAIT_FOR_BACKOFF,			/* after a failed attempt */
	WAIT_FOR_WORKERS,			/* launcher and supervisor */
	WAIT_FOR_PROGRESS			/* wait(): somebody else's commit */
} WaitReason;

/* Bits of wait_for()'s answer; 0 when the time ran out. */
#define WAIT_LATCH		1
#define WAIT_READABLE	2

/*
 * Sleeps until the process's latch is set, fd (-1: none) is readable, or
 * timeout_ms (-1: no limit) is over.  Resets the latch.  Exits when the
 * postmaster has died.  CHECK_FOR_INTERRUPTS is the caller's business, right
 * after the call.
 */
extern int	wait_for(int fd, long timeout_ms, WaitReason reason);

#endif							/* DELTAFLOW_WORKER_WAIT_H */
