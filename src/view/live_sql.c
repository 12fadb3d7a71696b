/*
 * live_sql.c
 *		The SQL of a view's own objects: state table, its index, the live view.
 *
 * The state table has the columns of the spec and nothing else.  It is updated row by
 * row by one writer: fillfactor leaves room for every row of a page to change once
 * in place, no index holds a changing column,
 * autovacuum comes early, and the one index is not unique, because a unique one walks
 * all versions that a long snapshot keeps alive.  REPLICA IDENTITY FULL lets it be
 * part of publications for all tables.
 *
 * The live view is the spec's output expressions over that table, deparsed by the
 * server; where windows overlap, over the windows made from its panes (pane_sql.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "view/ddl.h"
#include "view/live_sql.h"
#include "view/pane_window.h"

#define STATE_OPTIONS \
	"fillfactor = 45, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, " \
	"autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2"

static char *
type_name(Oid type, int32 typmod)
{
	return format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

static void
append_column(StringInfo sql, const StateColumn *column)
{
	appendStringInfo(sql, "%s%s %s", column->attnum > 1 ? ", " : "",
					 quote_identifier(column->name), type_name(column->type, column->typmod));
	if (OidIsValid(column->collation) && column->collation != get_typcollation(column->type))
		appendStringInfo(sql, " COLLATE %s", generate_collation_name(column->collation));
}

char *
state_table_sql(const ViewSpec *spec, const char *schema, const char *state)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", quote_qualified_identifier(schema, state));
	for (int i = 0; i < spec->nkeys; i++)
		append_column(&sql, &spec->keys[i].column);
	if (spec->window.kind == WINDOW_SESSION)
		append_column(&sql, &spec->window.session.last);
	for (int i = 0; i < spec->naggregates; i++)
		for (int j = 0; j < spec->aggregates[i].nstate; j++)
			append_column(&sql, &spec->aggregates[i].state[j]);
	appendStringInfoString(&sql, ") WITH (" STATE_OPTIONS ")");
	return sql.data;
}

char *
state_index_sql(const ViewSpec *spec, const char *schema, const char *state, const char *index)
{
	StringInfoData sql;

	if (spec->nkeys == 0)
		return NULL;
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE INDEX %s ON %s USING btree (",
					 quote_identifier(index), quote_qualified_identifier(schema, state));
	for (int i = 0; i < spec->nkeys; i++)
		appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "", quote_identifier(spec->keys[i].column.name));
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* The one group of a view without GROUP BY, before any row. */
char *
state_global_row_sql(const ViewSpec *spec, const char *schema, const char *state)
{
	StringInfoData sql;
	const char *separator = "";

	if (spec->nkeys > 0)
		return NULL;
	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s VALUES (", quote_qualified_identifier(schema, state));
	for (int i = 0; i < spec->naggregates; i++)
	{
		for (int j = 0; j < spec->aggregates[i].nstate; j++)
		{
			const StateColumn *column = &spec->aggregates[i].state[j];

			appendStringInfo(&sql, "%s%s", separator, column->initial ? quote_literal_cstr(column->initial) : "NULL");
			separator = ", ";
		}
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* What emit => 'close' adds to WHERE: end of the window + lateness <= watermark, which is read once per query. */
static char *
final_condition(const ViewSpec *spec, Oid state, const Interval *lateness, char *end)
{
	if (spec->window.time_type == TIMESTAMPOID)
		end = psprintf("(%s AT TIME ZONE 'UTC')", end);
	return psprintf("deltaflow.window_limit(%s, %s::pg_catalog.interval) <= (SELECT deltaflow.watermark_of(%s::pg_catalog.regclass))",
					end,
					quote_literal_cstr(DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(lateness)))),
					quote_literal_cstr(qualified_name(state)));
}

/*
 * What hides windows that have lost panes to option retain, which may be set later.  Of
 * cumulative windows whole cycles go; of overlapping ones the first panes go while those
 * behind them are still needed, and a window made of what is left would be wrong.
 */
static char *
kept_condition(const ViewSpec *spec, Oid state)
{
	return psprintf("w." WINDOW_START_COLUMN " >= (SELECT deltaflow.horizon_of(%s::pg_catalog.regclass)%s)",
					quote_literal_cstr(qualified_name(state)),
					spec->window.time_type == TIMESTAMPOID ? " AT TIME ZONE 'UTC'" : "");
}

/* SELECT list over the rows of the state table, or of what stands for it. */
static void
append_output(StringInfo sql, const ViewSpec *spec, List *context)
{
	const char *separator = "";
	ListCell   *lc;

	foreach(lc, spec->output_tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		appendStringInfo(sql, "%s%s AS %s", separator,
						 deparse_expression((Node *) tle->expr, context, false, false), quote_identifier(tle->resname));
		separator = ", ";
	}
}

/* Each row of the state table is a group. */
static void
append_groups(StringInfo sql, const ViewSpec *spec, Oid state, const Interval *final_after)
{
	List	   *context = deparse_context_for(get_rel_name(state), state);
	const char *separator = " WHERE ";

	append_output(sql, spec, context);
	appendStringInfo(sql, " FROM %s", qualified_name(state));
	if (spec->having != NULL)
	{
		appendStringInfo(sql, "%s(%s)", separator, deparse_expression((Node *) spec->having, context, false, false));
		separator = " AND ";
	}
	Assert(final_after == NULL || spec->keys[spec->window.key].column.attnum == 1);
	if (final_after != NULL)
		appendStringInfo(sql, "%s%s", separator,
						 final_condition(spec, state, final_after,
										 deparse_expression((Node *) spec->window.end, context, false, false)));
}

/* Groups are made from panes. */
static void
append_windows(StringInfo sql, const ViewSpec *spec, Oid state, const Interval *final_after, const char *name)
{
	List	   *context = pane_deparse_context(spec, name);
	char	   *condition = NULL;

	if (final_after != NULL)
		condition = final_condition(spec, state, final_after, pstrdup("w." WINDOW_END_COLUMN));
	if (spec->window.panes.shape.kind == SHAPE_HOP)
		condition = condition == NULL ? kept_condition(spec, state) :
			psprintf("%s AND %s", condition, kept_condition(spec, state));
	append_output(sql, spec, context);
	append_pane_source(sql, spec, qualified_name(state), condition, name);
	if (spec->having != NULL)
		appendStringInfo(sql, " WHERE %s", deparse_expression((Node *) spec->having, context, false, false));
}

char *
live_view_sql(const ViewSpec *spec, Oid state, const Interval *final_after, const char *schema, const char *name)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE VIEW %s AS SELECT ", quote_qualified_identifier(schema, name));
	if (spec->window.kind == WINDOW_PANES)
		append_windows(&sql, spec, state, final_after, name);
	else
		append_groups(&sql, spec, state, final_after);
	return sql.data;
}
