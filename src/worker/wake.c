/*
 * wake.c
 *		Wake-ups at commit.
 *
 * In: a note that this transaction changes what workers do.  Out, after commit
 * only: their latches set.  A rolled back transaction wakes nobody.  A prepared
 * transaction cannot carry the note to its commit, so workers see it at their
 * next look (deltaflow.naptime).
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "compat.h"
#include "worker/slots.h"
#include "worker/wake.h"

static bool wake_wanted = false;

/* At commit: wake.  At any other end: forget. */
static void
wake_at_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (wake_wanted)
			{
				slots_wake(MyDatabaseId);
				commit_broadcast();
			}
			wake_wanted = false;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			wake_wanted = false;
			break;
		default:
			break;
	}
}

void
wake_workers_at_commit(void)
{
	static bool registered = false;

	if (!slots_exist())
		return;
	if (!registered)
	{
		RegisterXactCallback(wake_at_end, NULL);
		registered = true;
	}
	wake_wanted = true;
}

bool
workers_possible(void)
{
	return slots_exist();
}
