/*
 * lock.h
 *		Locks on everything that a continuous view is made of.
 */
#ifndef DELTAFLOW_VIEW_LOCK_H
#define DELTAFLOW_VIEW_LOCK_H

#include "storage/lockdefs.h"

#include "catalog/catalog.h"
#include "compat.h"

/*
 * Locks the live view, the state table in state_mode, and the batch view with every
 * relation that its definition reads, until the transaction ends.  Whoever goes on to
 * lock the pipeline's row calls this before.  InvalidOid when all are locked; without
 * wait, the first relation that somebody else holds.
 */
extern Oid	view_lock(const ViewRow *row, LOCKMODE state_mode, bool wait);

/* One relation likewise: ERROR (lock not available) when it is not to be had at once and wait is false. */
extern void relation_lock(Oid relid, LOCKMODE mode, bool wait);
pg_noreturn extern void relation_busy(Oid relid);

#endif							/* DELTAFLOW_VIEW_LOCK_H */
