/*
 * state_table.h
 *		Rows of a view's state table: finding, updating in place, adding.
 *
 * Open within a transaction that holds the pipeline's lock: we are the only
 * writer.  Anything that shows otherwise is an error.
 */
#ifndef DELTAFLOW_MAINTAIN_STATE_TABLE_H
#define DELTAFLOW_MAINTAIN_STATE_TABLE_H

#include "access/relscan.h"
#include "executor/tuptable.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "maintain/group_cache.h"

typedef struct StateTable StateTable;

/* Takes the lock of a writer until the transaction ends.  In CurrentMemoryContext. */
extern StateTable *state_table_open(const ViewSpec *spec, const GroupKeys *keys);

/* Releases everything but the lock. */
extern void state_table_close(StateTable *table);

/* Changes when the table is rewritten or truncated: every tid known is void then. */
extern Oid	state_table_storage(const StateTable *table);

/*
 * The greatest window start stored, GROUP_ORDER_NONE when there is none; for a
 * view without windows whether there is any row at all.
 */
extern int64 state_table_newest(StateTable *table);
extern bool state_table_is_empty(StateTable *table);

/*
 * Looks a group's row up by its key.  True: the group has its tid and xmin now, and
 * *values, *isnull are its columns (by attnum - 1) until the next call.
 */
extern bool state_table_find(StateTable *table, FoldGroup *group, Datum **values, bool **isnull);

/* Puts rows in place of those that groups[] name, ordered by tid; store fills them. */
typedef void (*StoreGroup) (void *arg, FoldGroup *group, Datum *values, bool *isnull);
extern void state_table_update(StateTable *table, FoldGroup **groups, int64 n,
							   StoreGroup store, void *arg);

/* Removes the rows that groups[] name, ordered by tid. */
extern void state_table_delete(StateTable *table, FoldGroup **groups, int64 n);

/* Adds rows for groups that have none, in the order given. */
extern void state_table_insert(StateTable *table, FoldGroup **groups, int64 n,
							   StoreGroup store, void *arg);

/* What it is made of, for searches other than those above (session_table.c). */
typedef struct StateTableParts
{
	Relation	relation;
	Relation	index;
	Snapshot	snapshot;
} StateTableParts;

extern StateTableParts state_table_parts(const StateTable *table);

/*
 * A btree of all rows that is led by that column, rising; NULL: there is none.  To be
 * closed by index_close(); its lock stays.
 */
extern Relation index_led_by(Relation relation, AttrNumber column, LOCKMODE lock);

#endif							/* DELTAFLOW_MAINTAIN_STATE_TABLE_H */
