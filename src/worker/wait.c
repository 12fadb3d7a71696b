/*
 * wait.c
 *		The one place where deltaflow sleeps.
 *
 * In: a descriptor of the broker client, a time limit and a reason.  Out: what
 * woke us.  The latch is reset before the caller looks for work, so a wake-up
 * that arrives while it looks is seen by the next call.  Holds no lock and no
 * memory; must not be called inside a transaction of a pipeline.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"

#include "compat.h"
#include "worker/wait.h"

static const char *const reason_names[] = {
	[WAIT_FOR_BROKER] = "DeltaflowBroker",
	[WAIT_FOR_RECORDS] = "DeltaflowRecords",
	[WAIT_FOR_BACKOFF] = "DeltaflowBackoff",
	[WAIT_FOR_WORKERS] = "DeltaflowWorkers",
	[WAIT_FOR_PROGRESS] = "DeltaflowProgress",
};

/* The server's number of a reason; asked for once per process, 0 is never one. */
static uint32
wait_event_of(WaitReason reason)
{
	static uint32 numbers[lengthof(reason_names)];

	if (numbers[reason] == 0)
		numbers[reason] = WaitEventExtensionNew(reason_names[reason]);
	return numbers[reason];
}

int
wait_for(int fd, long timeout_ms, WaitReason reason)
{
	int			wanted = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;
	int			met;

	if (timeout_ms >= 0)
		wanted |= WL_TIMEOUT;
	if (fd >= 0)
		wanted |= WL_SOCKET_READABLE;
	met = WaitLatchOrSocket(MyLatch, wanted, fd >= 0 ? fd : PGINVALID_SOCKET,
							timeout_ms, wait_event_of(reason));
	if (met & WL_LATCH_SET)
		ResetLatch(MyLatch);
	return ((met & WL_LATCH_SET) ? WAIT_LATCH : 0) |
		((met & WL_SOCKET_READABLE) ? WAIT_READABLE : 0);
}
