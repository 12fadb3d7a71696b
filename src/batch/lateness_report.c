/*
 * lateness_report.c
 *		How late rows come, so that a user can choose watermark_delay and lateness.
 *
 * What comes in: a topic, or the table that an ingest fills from one, whose rows tell
 * their partition and offset.  What goes out, for each partition and (partition null)
 * for all of them: a delay, and how many rows would be behind a watermark with it.
 *
 *		rows in log order -> how far each is behind the greatest event time before it
 *			-> quantiles of that, or the delays asked for -> rows beyond each
 *
 * A row is measured by its own event time, or by the end of its window when a size is
 * given: then what is behind the watermark is late.  The source's watermark is the
 * least over partitions and moves between epochs only, so these are the most that can
 * be late, whatever the epochs.  Rows without event time, infinite ones and those the
 * future guard does not believe now are left out.
 *
 * It is one query with the caller's rights and snapshot, and a pinned search_path;
 * nothing is locked or kept.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "batch/batch.h"
#include "compat.h"
#include "fdw/topic.h"

/* Delays for which one row in 2, 10, 20, ... would be behind. */
#define QUANTILES "'{0.5,0.9,0.95,0.99,0.999,0.9999,1}'::float8[]"

/* Where the rows are, and what their columns are called. */
typedef struct Source
{
	Oid			relid;
	const Topic *topic;
	const char *event_time;
	const char *partition;
	const char *record_offset;
} Source;

/* The column of that kind, NULL when there is none. */
static const char *
column_of_kind(const Topic *topic, TopicColumnKind kind)
{
	for (int i = 0; i < topic->ncolumns; i++)
		if (topic->columns[i].kind == kind)
			return topic->columns[i].name;
	return NULL;
}

/* The topic that a relation is, or is filled from. */
static Oid
topic_of(Oid relid)
{
	PipelineRow *pipeline;

	if (is_topic(relid))
		return relid;
	pipeline = pipeline_by_target(relid);
	if (pipeline == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a topic, and no ingest fills it", get_rel_name(relid)),
				 errhint("Name a topic, or the target of an ingest.")));
	return pipeline->topic;
}

/* ERROR unless the relation has such a column. */
static void
check_column(const Source *source, const char *column, const char *metadata)
{
	if (column != NULL && get_attnum(source->relid, column) != InvalidAttrNumber)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("rows of \"%s\" do not tell their %s", get_rel_name(source->relid), metadata),
			 errdetail("How late a row is follows from its place in the log."),
			 column != NULL ?
			 errhint("Report on the topic %s, which has column \"%s\".",
					 quote_identifier(get_rel_name(source->topic->relid)), column) :
			 errhint("ALTER FOREIGN TABLE %s ADD COLUMN ... OPTIONS (metadata '%s').",
					 quote_identifier(get_rel_name(source->topic->relid)), metadata)));
}

static Source
find_source(Oid relid)
{
	Source		source = {relid, topic_load(topic_of(relid), GetUserId())};

	if (source.topic->event_time == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" has no event time", get_rel_name(source.topic->relid)),
				 errhint("ALTER FOREIGN TABLE %s OPTIONS (ADD event_time '...').",
						 quote_identifier(get_rel_name(source.topic->relid)))));
	source.event_time = NameStr(TupleDescAttr(source.topic->desc, source.topic->event_time - 1)->attname);
	source.partition = column_of_kind(source.topic, COLUMN_PARTITION);
	source.record_offset = column_of_kind(source.topic, COLUMN_OFFSET);
	check_column(&source, source.event_time, "event time");
	check_column(&source, source.partition, "partition");
	check_column(&source, source.record_offset, "offset");
	return source;
}

/* The event time on the scale of timestamptz. */
static char *
event_time_expression(const Source *source)
{
	const char *column = quote_identifier(source->event_time);

	if (get_atttype(source->relid, get_attnum(source->relid, source->event_time)) == TIMESTAMPTZOID)
		return psprintf("%s", column);
	return psprintf("timezone('UTC', %s::timestamp)", column);
}

/* How far each row is behind: (p, behind). */
static char *
behind_query(const Source *source)
{
	return psprintf("SELECT p, GREATEST(seen - CASE WHEN $2 IS NULL THEN t"
					" ELSE date_bin($2, t, '2000-01-01 00:00:00+00') + $2 END, '0') AS behind"
					" FROM (SELECT p, t, max(t) OVER (PARTITION BY p ORDER BY o"
					" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS seen"
					" FROM (SELECT %s AS p, %s AS o, %s AS t FROM %s) r"
					" WHERE isfinite(t) AND t <= now() + '" INT64_FORMAT " microseconds'::interval) m",
					quote_identifier(source->partition), quote_identifier(source->record_offset),
					event_time_expression(source),
					quote_qualified_identifier(get_namespace_name(get_rel_namespace(source->relid)),
											   get_rel_name(source->relid)),
					source->topic->max_future);
}

/* The report; $1 delays or null, $2 the windows' size or null. */
static char *
report_query(const Source *source)
{
	return psprintf("WITH rows AS MATERIALIZED (%s),"
					" groups AS (SELECT p, grouping(p) AS every, count(*) AS n,"
					" CASE WHEN $1 IS NULL THEN percentile_disc(" QUANTILES ") WITHIN GROUP (ORDER BY behind) ELSE $1 END AS delays"
					" FROM rows GROUP BY GROUPING SETS ((p), ())),"
					" asked AS (SELECT g.p, g.every, g.n, d.delay, d.nth"
					" FROM groups g, unnest(g.delays) WITH ORDINALITY AS d(delay, nth))"
					" SELECT a.p, a.n, a.delay, count(*) FILTER (WHERE r.behind > a.delay) AS behind,"
					" 1 - count(*) FILTER (WHERE r.behind > a.delay) / a.n::float8"
					" FROM asked a JOIN rows r ON a.every = 1 OR r.p = a.p"
					" GROUP BY a.every, a.p, a.n, a.nth, a.delay ORDER BY a.every DESC, a.p, a.nth",
					behind_query(source));
}

void
batch_lateness_report(Oid relid, ArrayType *delays, const Interval *size, ReturnSetInfo *result)
{
	Source		source = find_source(relid);
	Oid			types[] = {INTERVALARRAYOID, INTERVALOID};
	Datum		values[] = {PointerGetDatum(delays), IntervalPGetDatum(size)};
	char		nulls[] = {delays == NULL ? 'n' : ' ', size == NULL ? 'n' : ' '};
	Identity	before = identity_become(GetUserId(), NIL);

	SPI_connect();
	if (SPI_execute_with_args(report_query(&source), 2, types, values, nulls, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the rows of \"%s\"", get_rel_name(relid));
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	identity_restore(before);
}
