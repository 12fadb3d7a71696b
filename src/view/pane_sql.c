/*
 * pane_sql.c
 *		The SQL of a live view whose windows are made from panes.
 *
 *	panes	the distinct panes of the state table, found by skipping along its index
 *	w		the windows of each pane that the pane before it is not in, so each once
 *	s		the groups of a window: those of its panes, by a range of the index, but for
 *			rows that were late for it (open_from)
 *	GROUP BY merges their states into one row of the state's shape, over which the
 *	definition's output and HAVING stand, as they do for other views.
 *
 * All of it is plain SQL over the state table, so that readers need no right but
 * SELECT on the live view.  A condition on a key or on the window goes down into the
 * scans; one on the window also bounds the panes that are looked for (pane_bound.c).
 *
 * Expressions are deparsed over two relations that exist only as the columns of that
 * inner query: the merged state (varno 1) and the window (WINDOW_VARNO).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/plannodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "view/live_sql.h"
#include "view/pane_window.h"

/* A relation that is nothing but its columns' names. */
static RangeTblEntry *
named_columns(const char *name, List *columns)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_VALUES;
	rte->eref = makeAlias(name, columns);
	return rte;
}

/* The state's columns by attribute number. */
static List *
state_columns(const ViewSpec *spec)
{
	List	   *columns = NIL;

	for (int i = 0; i < spec->nkeys; i++)
		columns = lappend(columns, makeString(spec->keys[i].column.name));
	for (int i = 0; i < spec->naggregates; i++)
		for (int j = 0; j < spec->aggregates[i].nstate; j++)
			columns = lappend(columns, makeString(spec->aggregates[i].state[j].name));
	return columns;
}

List *
pane_deparse_context(const ViewSpec *spec, const char *name)
{
	PlannedStmt *statement = makeNode(PlannedStmt);
	List	   *window = list_make2(makeString(pstrdup(WINDOW_START_COLUMN)), makeString(pstrdup(WINDOW_END_COLUMN)));

	statement->rtable = list_make2(named_columns(name, state_columns(spec)), named_columns(name, window));
	return deparse_context_for_plan_tree(statement, list_make2(pstrdup(name), pstrdup(name)));
}

/* ---- merging ---- */

/* schema.name of an aggregate */
static char *
aggregate_name(Oid aggregate)
{
	return quote_qualified_identifier(get_namespace_name(get_func_namespace(aggregate)), get_func_name(aggregate));
}

/* What merges one state column of several groups. */
static char *
merged_column(const FoldAggregate *fold, const StateColumn *column)
{
	char	   *name = psprintf("s.%s", quote_identifier(column->name));

	switch (fold->kind)
	{
		case FOLD_MIN:
		case FOLD_MAX:
			return psprintf("%s(%s)", aggregate_name(fold->aggref->aggfnoid), name);
		case FOLD_PLAIN:
		case FOLD_SERIAL:
			/* in the order of time, so that what rounds does not depend on the plan */
			return psprintf("deltaflow.merge_state(%s::pg_catalog.regprocedure, %s ORDER BY s.%s, s.%s)",
							quote_literal_cstr(format_procedure_qualified(fold->aggref->aggfnoid)), name,
							PANE_COLUMN, OPEN_FROM_COLUMN);
		default:
			break;
	}
	if (column->type == INT8OID)
		return psprintf("deltaflow.merge_bigint(%s)", name);
	if (column->type == NUMERICOID)
		return psprintf("pg_catalog.sum(%s)", name);
	Assert(column->type == FLOAT8ARRAYOID);
	return psprintf("deltaflow.merge_float_sum(%s)", name);
}

/* ---- windows ---- */

/* A bound of the panes: this one, or what the reader's conditions make of it (pane_bound.c). */
static char *
bound(const ViewSpec *spec, const char *name, const char *none)
{
	return psprintf("deltaflow.%s('%s'::%s, '" INT64_FORMAT " us'::pg_catalog.interval)", name, none,
					format_type_be_qualified(spec->window.time_type), spec->window.panes.shape.size);
}

/* The distinct panes and the one before each. */
static void
append_panes(StringInfo sql, const ViewSpec *spec, const char *state)
{
	char	   *upto = bound(spec, "panes_upto", "infinity");

	appendStringInfo(sql, "WITH RECURSIVE panes(pane, before) AS ("
					 "(SELECT s.%s, NULL::%s FROM %s s WHERE s.%s BETWEEN %s AND %s ORDER BY s.%s LIMIT 1)",
					 PANE_COLUMN, format_type_be_qualified(spec->window.time_type), state,
					 PANE_COLUMN, bound(spec, "panes_from", "-infinity"), upto, PANE_COLUMN);
	appendStringInfo(sql, " UNION ALL SELECT n.pane, p.pane FROM panes p CROSS JOIN LATERAL"
					 " (SELECT s.%s AS pane FROM %s s WHERE s.%s > p.pane AND s.%s <= %s ORDER BY s.%s LIMIT 1) n)",
					 PANE_COLUMN, state, PANE_COLUMN, PANE_COLUMN, upto, PANE_COLUMN);
}

/* The windows of a pane p. */
static char *
windows_call(const ViewSpec *spec)
{
	const PaneSpec *panes = &spec->window.panes;

	return psprintf("deltaflow.%s(p.pane, p.before, %s, %s, %s)",
					panes->shape.kind == SHAPE_HOP ? "hop_windows" : "cumulate_windows",
					deparse_expression((Node *) panes->step, NIL, false, false),
					deparse_expression((Node *) panes->size, NIL, false, false),
					deparse_expression((Node *) panes->origin, NIL, false, false));
}

/* What windows are grouped by, as the definition has it. */
static char *
grouping(const ViewSpec *spec)
{
	StringInfoData keys;

	initStringInfo(&keys);
	if (spec->window.panes.by_start)
		appendStringInfo(&keys, "w.%s", WINDOW_START_COLUMN);
	if (spec->window.panes.by_end)
		appendStringInfo(&keys, "%sw.%s", keys.len > 0 ? ", " : "", WINDOW_END_COLUMN);
	for (int i = PANE_KEYS; i < spec->nkeys; i++)
		appendStringInfo(&keys, ", s.%s", quote_identifier(spec->keys[i].column.name));
	return keys.data;
}

/* One row per window and user's key: the keys, and the merged states under their columns' names. */
static void
append_merged(StringInfo sql, const ViewSpec *spec, const char *state, const char *condition)
{
	char	   *keys = grouping(spec);

	append_panes(sql, spec, state);
	appendStringInfo(sql, " SELECT %s", keys);
	for (int i = 0; i < spec->naggregates; i++)
		for (int j = 0; j < spec->aggregates[i].nstate; j++)
		{
			const StateColumn *column = &spec->aggregates[i].state[j];

			appendStringInfo(sql, ", %s AS %s", merged_column(&spec->aggregates[i], column), quote_identifier(column->name));
		}
	appendStringInfo(sql, " FROM panes p CROSS JOIN LATERAL %s w"
					 " JOIN %s s ON s.%s BETWEEN w.first_pane AND w.last_pane AND s.%s <= w.%s",
					 windows_call(spec), state, PANE_COLUMN, OPEN_FROM_COLUMN, WINDOW_END_COLUMN);
	if (condition != NULL)
		appendStringInfo(sql, " WHERE %s", condition);
	appendStringInfo(sql, " GROUP BY %s", keys);
}

void
append_pane_source(StringInfo sql, const ViewSpec *spec, const char *state, const char *condition, const char *name)
{
	appendStringInfoString(sql, " FROM (");
	append_merged(sql, spec, state, condition);
	appendStringInfo(sql, ") %s", quote_identifier(name));
}
