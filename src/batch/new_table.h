/*
 * new_table.h
 *		Rows of a query straight into a table that was made for them.
 */
#ifndef DELTAFLOW_BATCH_NEW_TABLE_H
#define DELTAFLOW_BATCH_NEW_TABLE_H

#include "tcop/dest.h"

/*
 * A receiver for one run of the executor, in CurrentMemoryContext.  The table was
 * created in this transaction with the columns of the query, and has no index,
 * trigger, constraint or default.
 */
extern DestReceiver *new_table_receiver(Oid relid);

#endif							/* DELTAFLOW_BATCH_NEW_TABLE_H */
