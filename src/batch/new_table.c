/*
 * new_table.c
 *		Rows of a query straight into a table that was made for them.
 *
 * In come the executor's rows; out go pages, many rows at a time, as CREATE TABLE AS
 * writes them.  The plan may be parallel: only the leader gets here.
 *
 * Memory: a set of slots that hold copies of the rows until they are written.  An
 * error leaves a table that the transaction's abort takes away.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/rel.h"

#include "batch/new_table.h"
#include "compat.h"

#define NEW_TABLE_ROWS	256

typedef struct NewTable
{
	DestReceiver pub;			/* first */
	Oid			relid;
	Relation	relation;
	CommandId	command;
	BulkInsertState bulk;
	TupleTableSlot *rows[NEW_TABLE_ROWS];	/* NULL until needed */
	int			nrows;
} NewTable;

/* Opens the table; before the plan runs, so that nothing is changed in parallel mode. */
static void
startup(DestReceiver *self, int operation, TupleDesc desc)
{
	NewTable   *table = (NewTable *) self;

	table->relation = table_open(table->relid, RowExclusiveLock);
	table->command = GetCurrentCommandId(true);
	table->bulk = GetBulkInsertState();
}

/* Writes the rows held. */
static void
flush(NewTable *table)
{
	if (table->nrows == 0)
		return;
	table_multi_insert(table->relation, table->rows, table->nrows, table->command,
					   TABLE_INSERT_SKIP_FSM, table->bulk);
	for (int i = 0; i < table->nrows; i++)
		ExecClearTuple(table->rows[i]);
	table->nrows = 0;
}

/* Takes one row. */
static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	NewTable   *table = (NewTable *) self;

	if (table->rows[table->nrows] == NULL)
		table->rows[table->nrows] = table_slot_create(table->relation, NULL);
	ExecCopySlot(table->rows[table->nrows], slot);
	if (++table->nrows == NEW_TABLE_ROWS)
		flush(table);
	return true;
}

/* Writes the rest and lets go of the table, not of its lock. */
static void
finish(DestReceiver *self)
{
	NewTable   *table = (NewTable *) self;

	flush(table);
	for (int i = 0; i < NEW_TABLE_ROWS && table->rows[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(table->rows[i]);
	FreeBulkInsertState(table->bulk);
	table_finish_bulk_insert(table->relation, TABLE_INSERT_SKIP_FSM);
	table_close(table->relation, NoLock);
}

static void
destroy(DestReceiver *self)
{
	pfree(self);
}

DestReceiver *
new_table_receiver(Oid relid)
{
	NewTable   *table = palloc0(sizeof(NewTable));

	table->pub = (DestReceiver) {receive, startup, finish, destroy, DestNone};
	table->relid = relid;
	return &table->pub;
}
