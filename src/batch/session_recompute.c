/*
 * session_recompute.c
 *		Sessions of a range made anew from the source.
 *
 * A session cannot be cut, so each key's range is closed over whole sessions: the
 * stored ones, and those that the source's rows make, that reach into the range or
 * hang together with one that does.
 *
 *				   since                  until
 *		key 1	  .--|-------.       .------|---------.		regions: what is deleted
 *		stored	  |  | s     |       |   s  |         |			 and folded anew
 *		source	  |  |  s    |       |   s s s s s s s|
 *		key 2		 |          .-------.   |
 *
 * Sessions are looked for between bounds that lie wider than the range; when one of the
 * regions found reaches them, they are moved out, until none does.  So what is read
 * follows the length of sessions, not of history.
 *
 * Stages: regions (keys, lo, hi) into a tuplestore that SQL reads as REGIONS -> stored
 * sessions in them are deleted -> the source's rows in them are folded -> late rows in
 * them are taken in.  Which rows lie in a region of their key is told by one pass in
 * the order of keys and time (masked()), however many regions there are.
 *
 * Rows without a time belong to no range.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "batch/live_rows.h"
#include "batch/session_recompute.h"
#include "compat.h"
#include "window/span.h"

#define REGIONS		"deltaflow_regions"
#define CANDIDATES	"deltaflow_late_candidates"
#define ROW_ALIAS	"deltaflow_row"

#define FIRST_MARGIN	16		/* gaps, around the range */
#define NEXT_MARGIN		8		/* times the margin before */

/* What the stages work on. */
typedef struct Recompute
{
	const ViewRow *view;
	const ViewSpec *spec;
	const TimeRange *range;
	Timestamp	since;			/* in the view's time type; infinite: open */
	Timestamp	until;
	int			nkeys;			/* of PARTITION BY */
	char	   *gap;			/* SQL texts */
	char	   *time;
	char	   *keys;			/* "e1 AS k1, e2 AS k2, " */
	char	   *partition;		/* "PARTITION BY k1, k2 ", or nothing */
	char	   *key_names;		/* "k1, k2, " */

	/* the regions */
	EphemeralNamedRelation regions;
	int64		nregions;
	Timestamp	lo;				/* the least and the greatest time in any */
	Timestamp	hi;
} Recompute;

/* ---- texts ---- */

static char *
row_text(const ViewSpec *spec, Expr *expr)
{
	return deparse_expression((Node *) expr, deparse_context_for(ROW_ALIAS, spec->source_relid), true, false);
}

static Expr *
key_expr(const ViewSpec *spec, int i)
{
	return list_nth_node(TargetEntry, spec->input_tlist, spec->keys[i].input)->expr;
}

static char *
time_literal(const ViewSpec *spec, Timestamp at)
{
	return range_literal(at, spec->window.time_type);
}

static void
prepare_texts(Recompute *recompute)
{
	const ViewSpec *spec = recompute->spec;
	StringInfoData keys;
	StringInfoData names;

	initStringInfo(&keys);
	initStringInfo(&names);
	recompute->nkeys = spec->window.key;
	for (int i = 0; i < recompute->nkeys; i++)
	{
		appendStringInfo(&keys, "%s AS k%d, ", row_text(spec, key_expr(spec, i)), i);
		appendStringInfo(&names, "k%d, ", i);
	}
	recompute->keys = keys.data;
	recompute->key_names = names.data;
	recompute->partition = recompute->nkeys == 0 ? "" :
		psprintf("PARTITION BY %.*s ", names.len - 2, names.data);
	recompute->time = row_text(spec, spec->window.time);
	recompute->gap = deparse_expression((Node *) spec->window.session.interval, NIL, false, false);
}

/* " AND time >= lo AND time < hi", where they are finite */
static char *
between(const ViewSpec *spec, const char *time, Timestamp lo, Timestamp hi)
{
	StringInfoData text;

	initStringInfo(&text);
	if (!TIMESTAMP_NOT_FINITE(lo))
		appendStringInfo(&text, " AND %s OPERATOR(pg_catalog.>=) %s", time, time_literal(spec, lo));
	if (!TIMESTAMP_NOT_FINITE(hi))
		appendStringInfo(&text, " AND %s OPERATOR(pg_catalog.<) %s", time, time_literal(spec, hi));
	return text.data;
}

/*
 * Rows of the source between the bounds that the definition's WHERE lets through, to
 * follow other conditions.  A computed time is looked at only in those (range.c).
 */
static char *
rows_between(const Recompute *recompute, Timestamp lo, Timestamp hi)
{
	const ViewSpec *spec = recompute->spec;
	char	   *range = between(spec, recompute->time, lo, hi);

	if (spec->where == NULL)
		return range;
	if (IsA(spec->window.time, Var))
		return psprintf(" AND (%s)%s", row_text(spec, spec->where), range);
	return psprintf(" AND CASE WHEN (%s) THEN true%s ELSE false END", row_text(spec, spec->where), range);
}

/* ---- regions ---- */

/* Stored sessions that reach between the bounds: keys, range. */
static void
append_stored(StringInfo sql, const Recompute *recompute, Timestamp lo, Timestamp hi)
{
	const ViewSpec *spec = recompute->spec;
	const char *first = quote_identifier(spec->keys[spec->window.key].column.name);
	const char *last = quote_identifier(spec->window.session.last.name);

	appendStringInfoString(sql, "SELECT ");
	for (int i = 0; i < recompute->nkeys; i++)
		appendStringInfo(sql, "%s AS k%d, ", quote_identifier(spec->keys[i].column.name), i);
	appendStringInfo(sql, "deltaflow.session_range(%s, %s, %s) AS r FROM %s WHERE true%s%s",
					 first, last, recompute->gap, live_rows_relation(recompute->view->state_table),
					 between(spec, first, DT_NOBEGIN, hi), between(spec, last, lo, DT_NOEND));
}

/* Sessions that the source's rows between the bounds make: the same columns. */
static void
append_made(StringInfo sql, const Recompute *recompute, Timestamp lo, Timestamp hi)
{
	const ViewSpec *spec = recompute->spec;

	appendStringInfo(sql, "SELECT DISTINCT %sdeltaflow.session(t, %s) OVER (%sORDER BY t)"
					 " FROM (SELECT %s%s AS t FROM %s AS %s WHERE true%s) AS rows",
					 recompute->key_names, recompute->gap, recompute->partition,
					 recompute->keys, recompute->time, live_rows_relation(spec->source_relid), ROW_ALIAS,
					 rows_between(recompute, lo, hi));
}

/* All that hangs together and reaches into the range: keys, lo, hi. */
static char *
regions_sql(const Recompute *recompute, Timestamp lo, Timestamp hi)
{
	bool		zoned = recompute->spec->window.time_type != TIMESTAMPOID;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %spg_catalog.lower(region) AS lo, pg_catalog.upper(region) AS hi"
					 " FROM (SELECT %spg_catalog.unnest(pg_catalog.range_agg(r)) AS region FROM (",
					 recompute->key_names, recompute->key_names);
	append_stored(&sql, recompute, lo, hi);
	appendStringInfoString(&sql, " UNION ALL ");
	append_made(&sql, recompute, lo, hi);
	appendStringInfoString(&sql, ") AS sessions WHERE r IS NOT NULL");
	if (recompute->nkeys > 0)
		appendStringInfo(&sql, " GROUP BY %.*s", (int) strlen(recompute->key_names) - 2, recompute->key_names);
	appendStringInfo(&sql, ") AS regions WHERE region OPERATOR(pg_catalog.&&) pg_catalog.%s(%s, %s)",
					 zoned ? "tstzrange" : "tsrange",
					 TIMESTAMP_NOT_FINITE(recompute->since) ? "NULL" : time_literal(recompute->spec, recompute->since),
					 TIMESTAMP_NOT_FINITE(recompute->until) ? "NULL" : time_literal(recompute->spec, recompute->until));
	return sql.data;
}

/* Runs a query; its rows become a relation that SQL can read. */
static EphemeralNamedRelation
query_into_relation(const char *sql, const char *name)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));
	Tuplestorestate *rows = tuplestore_begin_heap(true, false, work_mem);

	if (SPI_execute(sql, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\"", sql);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(rows, SPI_tuptable->vals[i]);
	relation->md.name = pstrdup(name);
	relation->md.tupdesc = CreateTupleDescCopy(SPI_tuptable->tupdesc);
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(rows);
	relation->reldata = rows;
	return relation;
}

/* The least and the greatest time of the rows that query_into_relation() has just read. */
static void
measure_regions(Recompute *recompute)
{
	recompute->nregions = SPI_processed;
	recompute->lo = DT_NOEND;
	recompute->hi = DT_NOBEGIN;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;

		recompute->lo = Min(recompute->lo, DatumGetTimestamp(SPI_getbinval(row, SPI_tuptable->tupdesc, recompute->nkeys + 1, &isnull)));
		recompute->hi = Max(recompute->hi, DatumGetTimestamp(SPI_getbinval(row, SPI_tuptable->tupdesc, recompute->nkeys + 2, &isnull)));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* length * factor, as long as anything. */
static int64
longer(int64 length, int64 factor)
{
	int64		result;

	return pg_mul_s64_overflow(length, factor, &result) ? PG_INT64_MAX : result;
}

/* Finds the regions: wider and wider, until rows beyond the bounds cannot touch any. */
static void
find_regions(Recompute *recompute)
{
	int64		gap = recompute->spec->window.session.gap;

	for (int64 margin = longer(gap, FIRST_MARGIN);; margin = longer(margin, NEXT_MARGIN))
	{
		Timestamp	lo = time_plus(recompute->since, -margin);
		Timestamp	hi = time_plus(recompute->until, margin);

		CHECK_FOR_INTERRUPTS();
		recompute->regions = query_into_relation(regions_sql(recompute, lo, hi), REGIONS);
		measure_regions(recompute);
		if ((TIMESTAMP_NOT_FINITE(lo) || recompute->lo >= time_plus(lo, gap)) &&
			(TIMESTAMP_NOT_FINITE(hi) || recompute->hi <= hi))
			break;
		tuplestore_end(recompute->regions->reldata);
	}
	if (SPI_register_relation(recompute->regions) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the regions of a recompute");
}

/* ---- what lies in them ---- */

/*
 * Those rows of a query that lie in a region of their key.  The query gives payload
 * columns p0, p1, ..., the keys k0, k1, ..., and the time t; what remains are p0, p1, ...
 */
static char *
masked(const Recompute *recompute, const char *query, int npayload)
{
	StringInfoData payload;
	StringInfoData empty;

	initStringInfo(&payload);
	initStringInfo(&empty);
	for (int i = 0; i < npayload; i++)
	{
		appendStringInfo(&payload, "p%d, ", i);
		appendStringInfoString(&empty, "NULL, ");
	}
	return psprintf("SELECT %.*s FROM (SELECT *, pg_catalog.max(lo) OVER w AS in_lo, pg_catalog.max(hi) OVER w AS in_hi FROM ("
					"SELECT %s%st, NULL AS lo, NULL AS hi, true AS is_row FROM (%s) AS rows"
					" UNION ALL SELECT %s%slo, lo, hi, false FROM %s) AS u"
					" WINDOW w AS (%sORDER BY t, is_row ROWS UNBOUNDED PRECEDING)) AS marked"
					" WHERE is_row AND (t OPERATOR(pg_catalog.<) in_hi OR t OPERATOR(pg_catalog.=) in_lo)",
					payload.len - 2, payload.data,
					payload.data, recompute->key_names, query,
					empty.data, recompute->key_names, REGIONS,
					recompute->partition);
}

/* Stored sessions in the regions go. */
static void
delete_sessions(const Recompute *recompute)
{
	const ViewSpec *spec = recompute->spec;
	const char *first = quote_identifier(spec->keys[spec->window.key].column.name);
	char	   *table = live_rows_relation(recompute->view->state_table);
	StringInfoData rows;

	initStringInfo(&rows);
	appendStringInfoString(&rows, "SELECT ctid AS p0, ");
	for (int i = 0; i < recompute->nkeys; i++)
		appendStringInfo(&rows, "%s AS k%d, ", quote_identifier(spec->keys[i].column.name), i);
	appendStringInfo(&rows, "%s AS t FROM %s WHERE true%s", first, table,
					 between(spec, first, recompute->lo, time_plus(recompute->hi, 1)));
	if (SPI_execute(psprintf("DELETE FROM %s WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(%s))",
							 table, masked(recompute, rows.data, 1)), false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete sessions");
}

/* The source's rows in the regions, with the columns that the view reads. */
static char *
source_rows_sql(const Recompute *recompute)
{
	const ViewSpec *spec = recompute->spec;
	StringInfoData rows;
	int			attnum = -1;
	int			n = 0;

	initStringInfo(&rows);
	appendStringInfoString(&rows, "SELECT ");
	while ((attnum = bms_next_member(spec->source_columns, attnum)) >= 0)
		appendStringInfo(&rows, "%s.%s AS p%d, ", ROW_ALIAS,
						 quote_identifier(get_attname(spec->source_relid, attnum, false)), n++);
	appendStringInfo(&rows, "%s%s AS t FROM %s AS %s WHERE true%s",
					 recompute->keys, recompute->time, live_rows_relation(spec->source_relid), ROW_ALIAS,
					 rows_between(recompute, recompute->lo, time_plus(recompute->hi, 1)));
	return masked(recompute, rows.data, n);
}

/* Folds them. */
static void
fold_rows(const Recompute *recompute, size_t cache_bytes)
{
	LiveView   *live = live_view_open(recompute->spec, cache_bytes);
	QueryEnvironment *environment = create_queryEnv();

	register_ENR(environment, recompute->regions);
	live_view_fill_query(live, source_rows_sql(recompute), environment);
	live_view_close(live);
}

/* ---- late rows ---- */

/* Late rows between the regions' ends, as relation CANDIDATES; read as the extension's owner. */
static void
register_candidates(const Recompute *recompute)
{
	Identity	before = identity_become_owner();
	EphemeralNamedRelation candidates =
		query_into_relation(psprintf("SELECT id, row_data FROM deltaflow.late_row WHERE view_id = " INT64_FORMAT
									 " AND taken_in_at IS NULL AND window_start >= %s AND window_start <= %s",
									 recompute->view->id,
									 range_literal(recompute->lo, TIMESTAMPTZOID), range_literal(recompute->hi, TIMESTAMPTZOID)),
							CANDIDATES);

	identity_restore(before);
	SPI_freetuptable(SPI_tuptable);
	if (SPI_register_relation(candidates) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register late rows");
}

/* The late rows in the regions count as applied from now on. */
static void
take_late_rows_in(const Recompute *recompute)
{
	char	   *rows;
	Datum	   *ids;

	register_candidates(recompute);
	rows = psprintf("SELECT c.id AS p0, %s%s AS t FROM %s AS c, LATERAL pg_catalog.jsonb_populate_record(NULL::%s, c.row_data) AS %s",
					recompute->keys, recompute->time, CANDIDATES,
					live_rows_relation(recompute->spec->source_relid), ROW_ALIAS);
	if (SPI_execute(masked(recompute, rows, 1), false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not find late rows");
	ids = palloc(Max(SPI_processed, 1) * sizeof(Datum));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		ids[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
	}
	late_rows_taken_in_by_id(recompute->view->id, ids, (int) SPI_processed);
}

/* ---- all of it ---- */

/* The range in which live rows may change; a day wider where times have no zone. */
static TimeRange
changed_range(const Recompute *recompute)
{
	int64		slack = recompute->spec->window.time_type == TIMESTAMPOID ? USECS_PER_DAY : 0;
	TimeRange	range;

	range.since = time_plus(recompute->lo, -slack);
	range.until = time_plus(recompute->hi, slack + 1);
	range.has_since = !TIMESTAMP_NOT_FINITE(range.since);
	range.has_until = !TIMESTAMP_NOT_FINITE(range.until);
	return range;
}

int64
session_recompute(const ViewRow *view, const ViewSpec *spec, const TimeRange *range, size_t cache_bytes)
{
	Recompute	recompute = {view, spec, range};
	TimeRange	changed;

	recompute.since = range->has_since ? range_bound(spec, range->since) : DT_NOBEGIN;
	recompute.until = range->has_until ? range_bound(spec, range->until) : DT_NOEND;
	prepare_texts(&recompute);
	find_regions(&recompute);
	if (recompute.nregions == 0)
		return 0;
	changed = changed_range(&recompute);
	live_rows_remember(view, spec, &changed);
	delete_sessions(&recompute);
	CommandCounterIncrement();
	fold_rows(&recompute, cache_bytes);
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
	take_late_rows_in(&recompute);
	return live_rows_count_changed(view, spec, &changed);
}
