/*
 * statement.c
 *		SPI, kept in one place: plans made once, results read by column.
 *
 * A Statement is a static of the file that owns the table.  Its plan is saved in
 * the backend at first use and revalidated by the plan cache after DDL, so an
 * extension dropped and created again needs nothing here.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/statement.h"
#include "compat.h"

static const char *const state_names[] = {
	[STATE_RUNNING] = "running",
	[STATE_PAUSED] = "paused",
	[STATE_FAILED] = "failed",
	[STATE_BACKFILLING] = "backfilling",
};

void
catalog_begin(CatalogCall *call)
{
	call->caller = CurrentMemoryContext;
	call->before = identity_become_owner();
	call->pushed = !ActiveSnapshotSet();
	if (call->pushed)
		PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

void
catalog_end(CatalogCall *call)
{
	SPI_finish();
	if (call->pushed)
		PopActiveSnapshot();
	identity_restore(call->before);
	MemoryContextSwitchTo(call->caller);
}

/* Plans the statement for the life of the backend. */
static void
statement_prepare(Statement *statement)
{
	SPIPlanPtr	plan = SPI_prepare(statement->sql, statement->nargs, statement->types);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", statement->sql, SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	statement->plan = plan;
}

uint64
statement_run(Statement *statement, int nvalues, const Datum *values, const bool *isnull)
{
	char		nulls[STATEMENT_MAX_ARGS];
	int			code;

	if (nvalues != statement->nargs)
		elog(ERROR, "%d values for the %d parameters of \"%s\"", nvalues, statement->nargs, statement->sql);
	if (statement->plan == NULL)
		statement_prepare(statement);
	for (int i = 0; i < statement->nargs; i++)
		nulls[i] = (isnull != NULL && isnull[i]) ? 'n' : ' ';
	code = SPI_execute_plan(statement->plan, unconstify(Datum *, values), nulls, statement->as_seen, 0);
	if (code < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement->sql, SPI_result_code_string(code));
	return SPI_processed;
}

uint64
statement_execute(Statement *statement, int nvalues, const Datum *values, const bool *isnull)
{
	CatalogCall call;
	uint64		processed;

	catalog_begin(&call);
	processed = statement_run(statement, nvalues, values, isnull);
	catalog_end(&call);
	return processed;
}

List *
statement_list(Statement *statement, int nvalues, const Datum *values, RowReader read)
{
	CatalogCall call;
	List	   *rows = NIL;
	uint64		n;

	catalog_begin(&call);
	n = statement_run(statement, nvalues, values, NULL);
	MemoryContextSwitchTo(call.caller);
	for (uint64 i = 0; i < n; i++)
		rows = lappend(rows, read(&call, i));
	catalog_end(&call);
	return rows;
}

Datum
result_datum(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

int64
result_int64(uint64 row, int column, int64 null_value)
{
	bool		isnull;
	Datum		value = result_datum(row, column, &isnull);

	return isnull ? null_value : DatumGetInt64(value);
}

int32
result_int32(uint64 row, int column)
{
	bool		isnull;
	Datum		value = result_datum(row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

Oid
result_oid(uint64 row, int column)
{
	bool		isnull;
	Datum		value = result_datum(row, column, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

bool
result_bool(uint64 row, int column)
{
	bool		isnull;
	Datum		value = result_datum(row, column, &isnull);

	return isnull ? false : DatumGetBool(value);
}

TimestampTz
result_time(uint64 row, int column)
{
	bool		isnull;
	Datum		value = result_datum(row, column, &isnull);

	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
}

char *
result_text(const CatalogCall *call, uint64 row, int column)
{
	char	   *text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return text == NULL ? NULL : MemoryContextStrdup(call->caller, text);
}

Datum
text_argument(const char *string, bool *isnull)
{
	*isnull = (string == NULL);
	return string == NULL ? (Datum) 0 : CStringGetTextDatum(string);
}

RunState
state_from_name(const char *name)
{
	for (int i = 0; i < lengthof(state_names); i++)
		if (strcmp(state_names[i], name) == 0)
			return (RunState) i;
	elog(ERROR, "unrecognized state \"%s\"", name);
}

const char *
state_name(RunState state)
{
	return state_names[state];
}
