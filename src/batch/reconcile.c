/*
 * reconcile.c
 *		Live against batch at one snapshot: the promise, checked by one SELECT.
 *
 * What comes in: a view and, if wanted, a range of its windows.  What goes out: the
 * rows only the live view has and those only the batch view has, each with what is
 * known of the reason.
 *
 * The invariant: both sides are read with one snapshot, the caller's.  Rows and
 * state commit in one transaction, so a snapshot never holds one without the other.
 * A topic is outside of snapshots: it is read up to the positions that this
 * snapshot shows, which are exactly the records the live view has seen.
 *
 * Windows that the view's option retain has removed are not compared.
 *
 * Values are compared by their types' equality (by text where a type has none).
 * Float columns may differ by rounding, because a plain float sum depends on the
 * order of its rows while the live one is exact: what differs by less than one
 * part in 10^9 counts as equal.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "batch/batch.h"
#include "batch/live_rows.h"
#include "compat.h"
#include "fdw/bounds.h"
#include "fdw/topic.h"
#include "view/window_output.h"

#define LATE_NAME "deltaflow_late"

/* The view's columns in the forms the comparison needs. */
typedef struct Columns
{
	StringInfoData all;			/* select list; types without equality as text */
	StringInfoData exact;		/* those that must be equal: ", a, b" */
	StringInfoData exact_equal; /* live.a IS NOT DISTINCT FROM batch.a AND ... */
	StringInfoData close;		/* float columns: deltaflow.float_close(live.x, batch.x) AND ... */
	int			floats;
} Columns;

/* Sorts one column into the forms. */
static void
add_column(Columns *columns, Form_pg_attribute attribute)
{
	const char *name = quote_identifier(NameStr(attribute->attname));
	Oid			type = getBaseType(attribute->atttypid);
	bool		comparable = OidIsValid(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr);

	appendStringInfo(&columns->all, "%s%s%s", columns->all.len ? ", " : "", name,
					 comparable ? "" : "::pg_catalog.text");
	if (!comparable)
		appendStringInfo(&columns->all, " AS %s", name);
	if (type == FLOAT4OID || type == FLOAT8OID)
	{
		columns->floats++;
		appendStringInfo(&columns->close, " AND deltaflow.float_close(deltaflow_live.%s, deltaflow_batch.%s)", name, name);
		return;
	}
	appendStringInfo(&columns->exact, "%s%s", columns->exact.len ? ", " : "PARTITION BY ", name);
	appendStringInfo(&columns->exact_equal, " AND deltaflow_live.%s IS NOT DISTINCT FROM deltaflow_batch.%s", name, name);
}

/* The forms of all of a view's columns. */
static Columns
view_columns(Oid view)
{
	Relation	relation = table_open(view, AccessShareLock);
	Columns		columns = {0};

	initStringInfo(&columns.all);
	initStringInfo(&columns.exact);
	initStringInfo(&columns.exact_equal);
	initStringInfo(&columns.close);
	for (int i = 0; i < RelationGetNumberOfAttributes(relation); i++)
		if (!TupleDescAttr(RelationGetDescr(relation), i)->attisdropped)
			add_column(&columns, TupleDescAttr(RelationGetDescr(relation), i));
	table_close(relation, NoLock);
	return columns;
}

/* A bound of the row's window as late rows have it; NULL when the view does not show it. */
static char *
window_bound(const ViewSpec *spec, const char *side, bool end)
{
	char	   *shown = window_output(spec, side, end);

	return shown == NULL || spec->window.time_type != TIMESTAMPOID ? shown : psprintf("(%s AT TIME ZONE 'UTC')", shown);
}

/*
 * The reason of a row, as SQL: late rows of its window, or nothing known.  side is
 * the alias of the row.
 */
static char *
reason_expression(const ViewSpec *spec, const char *side)
{
	char	   *start = window_bound(spec, side, false);
	char	   *end = window_bound(spec, side, true);
	bool		session = spec->window.kind == WINDOW_SESSION;
	const char *unknown = "'no reason known: rows of the source may have been changed outside deltaflow'";
	StringInfoData window;

	if (start == NULL && end == NULL)
		return psprintf("coalesce((SELECT pg_catalog.format('%%s late rows are not in the live view', pg_catalog.sum(n))"
						" FROM %s HAVING pg_catalog.count(*) > 0), %s)", LATE_NAME, unknown);
	initStringInfo(&window);
	/* a late row stands alone as [time, time + gap); at an infinite time that is a point */
	if (start != NULL)
		appendStringInfo(&window, session ? "(window_end OPERATOR(pg_catalog.>) %s OR window_start OPERATOR(pg_catalog.=) %s)" :
						 "window_start OPERATOR(pg_catalog.=) %s", start, start);
	if (end != NULL)
		appendStringInfo(&window, session ? "%swindow_start OPERATOR(pg_catalog.<=) %s" : "%swindow_end OPERATOR(pg_catalog.=) %s",
						 start != NULL ? " AND " : "", end);
	return psprintf("COALESCE((SELECT pg_catalog.format('%%s late rows of this %s are not in the live view', pg_catalog.sum(n))"
					" FROM %s WHERE %s HAVING pg_catalog.count(*) > 0), %s)",
					session ? "time" : "window", LATE_NAME, window.data, unknown);
}

/* The comparison of the rows that satisfy a condition, as one statement. */
static char *
comparison(const ViewRow *view, const ViewSpec *spec, const char *condition)
{
	Columns		columns = view_columns(view->live);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "WITH live AS MATERIALIZED (SELECT %s FROM %s%s),"
					 " batch AS MATERIALIZED (SELECT %s FROM %s%s),"
					 " deltaflow_live AS (SELECT d.*, pg_catalog.row_number() OVER (%s) AS deltaflow_nth"
					 " FROM (SELECT * FROM live EXCEPT ALL SELECT * FROM batch) d),"
					 " deltaflow_batch AS (SELECT d.*, pg_catalog.row_number() OVER (%s) AS deltaflow_nth"
					 " FROM (SELECT * FROM batch EXCEPT ALL SELECT * FROM live) d)",
					 columns.all.data, live_rows_relation(view->live), condition,
					 columns.all.data, live_rows_relation(view->batch), condition,
					 columns.exact.data, columns.exact.data);
	for (int side = 0; side < 2; side++)
	{
		const char *mine = side == 0 ? "deltaflow_live" : "deltaflow_batch";
		const char *other = side == 0 ? "deltaflow_batch" : "deltaflow_live";

		appendStringInfo(&sql, "%s SELECT '%s'::pg_catalog.text, %s, pg_catalog.to_jsonb(%s) - 'deltaflow_nth' FROM %s",
						 side == 0 ? "" : " UNION ALL", side == 0 ? "live" : "batch",
						 reason_expression(spec, mine), mine, mine);
		if (columns.floats > 0)
			appendStringInfo(&sql, " WHERE NOT EXISTS (SELECT FROM %s WHERE deltaflow_live.deltaflow_nth OPERATOR(pg_catalog.=) deltaflow_batch.deltaflow_nth%s%s)",
							 other, columns.exact_equal.data, columns.close.data);
	}
	return sql.data;
}

/* Runs a query on our own tables with the caller's snapshot; rows are in SPI_tuptable. */
static void
query_catalog(const char *sql)
{
	Identity	before = identity_become_owner();

	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read deltaflow's tables");
	identity_restore(before);
}

/* The number of late rows per window, readable as LATE_NAME. */
static void
register_late_rows(const ViewRow *view)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));
	Tuplestorestate *rows = tuplestore_begin_heap(true, false, work_mem);

	query_catalog(psprintf("SELECT window_start, window_end, pg_catalog.count(*) AS n FROM deltaflow.late_row"
						   " WHERE view_id = " INT64_FORMAT " AND taken_in_at IS NULL GROUP BY 1, 2", view->id));
	relation->md.tupdesc = CreateTupleDescCopy(SPI_tuptable->tupdesc);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(rows, SPI_tuptable->vals[i]);
	relation->md.name = LATE_NAME;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(rows);
	relation->reldata = rows;
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the late rows of a view");
}

void
batch_reconcile(const ViewRow *view, const TimeRange *wanted, ReturnSetInfo *result)
{
	TimeRange	range = *wanted;
	Identity	before = identity_become(GetUserId(), view->pinned);
	ViewSpec   *spec = live_rows_spec(view);
	bool		topic = is_topic(spec->source_relid);
	char	   *condition;

	range_check(spec, &range);
	condition = range_over_kept_output(spec, view->horizon, &range);
	if (condition == NULL)
	{
		identity_restore(before);
		return;
	}
	SPI_connect();
	register_late_rows(view);
	if (topic)
		live_rows_bound_topic(view, spec);
	if (SPI_execute(comparison(view, spec, condition), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not compare a view with its definition");
	if (topic)
		scan_bounds_clear();
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	identity_restore(before);
}
