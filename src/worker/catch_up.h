/*
 * catch_up.h
 *		Waiting until a table or view holds what its sources held.
 */
#ifndef DELTAFLOW_WORKER_CATCH_UP_H
#define DELTAFLOW_WORKER_CATCH_UP_H

#include "catalog/catalog.h"

/*
 * Asks the broker where the topic ends now, then waits until all before that is
 * committed in the object; false when timeout_ms is over first.  For callers that
 * may read the object.
 */
extern bool catch_up(const NamedObject *object, int64 timeout_ms);

#endif							/* DELTAFLOW_WORKER_CATCH_UP_H */
