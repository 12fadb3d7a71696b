/*
 * live_rows.c
 *		What recompute and reconcile share: a view's spec and the rows it shows.
 *
 * Rows are remembered as text in a tuplestore that SQL reads as the ephemeral
 * relation "deltaflow_before": text compares any type, also those without equality.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "batch/live_rows.h"
#include "compat.h"
#include "fdw/bounds.h"
#include "view/load.h"

#define BEFORE_NAME "deltaflow_before"

ViewSpec *
live_rows_spec(const ViewRow *view)
{
	ViewSpec   *spec = NULL;
	ViewRefusal *refusal = view_load(view, &spec);

	if (refusal != NULL)
		view_refusal_raise(refusal);
	return spec;
}

void
live_rows_bound_topic(const ViewRow *view, const ViewSpec *spec)
{
	List	   *positions = position_list_seen(view->pipeline_id);
	PositionSet future = dead_letters_of_future(view->pipeline_id, view->id);
	int			n = list_length(positions);
	KafkaPosition *first = palloc(sizeof(KafkaPosition) * (n + 1));
	KafkaPosition *next = palloc(sizeof(KafkaPosition) * (n + 1));

	for (int i = 0; i < n; i++)
	{
		PositionRow *row = list_nth(positions, i);

		first[i] = (KafkaPosition) {row->partition, row->first_offset};
		next[i] = (KafkaPosition) {row->partition, row->next_offset};
	}
	scan_bounds_set(spec->source_relid, first, n, next, n);
	scan_bounds_columns(spec->source_relid, spec->source_columns);
	scan_bounds_without(spec->source_relid, &future);
	pfree(future.positions);
}

char *
live_rows_relation(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

char *
live_rows_condition(const ViewSpec *spec, const TimeRange *range)
{
	char	   *condition = range_over_output(spec, range);

	return condition == NULL ? "" : condition;
}

/* The range's live rows as one text column. */
static char *
rows_as_text(const ViewRow *view, const ViewSpec *spec, const TimeRange *range)
{
	return psprintf("SELECT r::pg_catalog.text AS t FROM %s r%s",
					live_rows_relation(view->live), live_rows_condition(spec, range));
}

void
live_rows_remember(const ViewRow *view, const ViewSpec *spec, const TimeRange *range)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));
	Tuplestorestate *rows = tuplestore_begin_heap(true, false, work_mem);
	TupleDesc	desc;

	if (SPI_execute(rows_as_text(view, spec, range), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the rows of a view");
	desc = CreateTupleDescCopy(SPI_tuptable->tupdesc);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(rows, SPI_tuptable->vals[i]);
	SPI_freetuptable(SPI_tuptable);
	relation->md.name = BEFORE_NAME;
	relation->md.tupdesc = desc;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(rows);
	relation->reldata = rows;
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows of a view");
}

int64
live_rows_count_changed(const ViewRow *view, const ViewSpec *spec, const TimeRange *range)
{
	char	   *now = rows_as_text(view, spec, range);
	bool		isnull;

	SPI_execute(psprintf("WITH now AS MATERIALIZED (%s)"
						 " SELECT GREATEST((SELECT pg_catalog.count(*) FROM (SELECT t FROM now EXCEPT ALL SELECT t FROM %s) a),"
						 " (SELECT pg_catalog.count(*) FROM (SELECT t FROM %s EXCEPT ALL SELECT t FROM now) b))",
						 now, BEFORE_NAME, BEFORE_NAME),
				false, 0);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}
