/*
 * statement.h
 *		Running the catalog's own SQL: statements planned once per backend.
 *
 * For the files of src/catalog only.  Every table and operator in the text is
 * found through search_path pg_catalog and qualified names.
 */
#ifndef DELTAFLOW_CATALOG_STATEMENT_H
#define DELTAFLOW_CATALOG_STATEMENT_H

#include "datatype/timestamp.h"
#include "executor/spi.h"

#include "catalog/catalog.h"

#define STATEMENT_MAX_ARGS 20

typedef struct Statement
{
	const char *sql;
	int			nargs;
	Oid			types[STATEMENT_MAX_ARGS];
	bool		as_seen;		/* by the active snapshot, not by one taken now */
	SPIPlanPtr	plan;			/* made at the first use */
} Statement;

/* Between catalog_begin and catalog_end code runs as the extension's owner with SPI connected. */
typedef struct CatalogCall
{
	Identity	before;
	MemoryContext caller;		/* where results go */
	bool		pushed;			/* our own snapshot, when the caller had none */
} CatalogCall;

extern void catalog_begin(CatalogCall *call);
extern void catalog_end(CatalogCall *call);

/*
 * Runs it.  nvalues is how many values there are: any other number than the
 * statement's is an error, never values from beyond the array.  isnull may be NULL
 * for none.  Returns rows processed, which are in SPI_tuptable when it returns any.
 */
extern uint64 statement_run(Statement *statement, int nvalues, const Datum *values, const bool *isnull);

/* begin, run, end for a statement whose rows nobody reads */
extern uint64 statement_execute(Statement *statement, int nvalues, const Datum *values, const bool *isnull);

/*
 * begin, run, end for one whose rows are read by the same function: the list of what it
 * returns, in the caller's context, which is current while it reads.
 */
typedef void *(*RowReader) (const CatalogCall *call, uint64 row);
extern List *statement_list(Statement *statement, int nvalues, const Datum *values, RowReader read);

/* Columns of row i of the last result; text is copied to the caller's context. */
extern int64 result_int64(uint64 row, int column, int64 null_value);
extern int32 result_int32(uint64 row, int column);
extern Oid	result_oid(uint64 row, int column);
extern bool result_bool(uint64 row, int column);
extern TimestampTz result_time(uint64 row, int column);	/* DT_NOBEGIN for NULL */
extern char *result_text(const CatalogCall *call, uint64 row, int column);	/* any type, as text; NULL for NULL */
extern Datum result_datum(uint64 row, int column, bool *isnull);

/* consumed, applied, late, dead, filtered and redelivered, in columns that begin with this one */
extern void result_books(PositionRow *books, uint64 row, int column);

extern RunState state_from_name(const char *name);
extern const char *state_name(RunState state);

/* a C string, or NULL, as an argument of type text */
extern Datum text_argument(const char *string, bool *isnull);

#endif							/* DELTAFLOW_CATALOG_STATEMENT_H */
