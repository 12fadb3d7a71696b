/*
 * session_window.c
 *		Definitions that group by deltaflow.session().
 *
 *		SELECT k, lower(s), upper(s), count(*)
 *		FROM (SELECT k, v, deltaflow.session(ts, '10 s') OVER (PARTITION BY k ORDER BY ts) AS s FROM t) x
 *		GROUP BY k, s
 *
 * In comes the window function of a level below GROUP BY; out goes a WindowCall, and
 * from it the WindowSpec of a view whose state is a row per session: the keys of
 * PARTITION BY, the first and the last time, and the aggregates.
 *
 * What makes it keepable row by row: a session is determined by the times of its key,
 * so GROUP BY must be exactly PARTITION BY and the session, and nothing may take rows
 * away after the sessions were made.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "view/rules.h"
#include "view/session_window.h"
#include "window/session.h"

#define GROUP_HINT "Write GROUP BY with the expressions of PARTITION BY and the session, nothing else, and aggregate again in the query that reads the live view."

/* ---- the call ---- */

/* One of our two functions session(ts, gap)? */
static bool
is_session_function(Oid function)
{
	return get_func_namespace(function) == get_namespace_oid("deltaflow", true) &&
		strcmp(get_func_name(function), "session") == 0;
}

static WindowClause *
window_clause_of(const Query *level, const WindowFunc *function)
{
	ListCell   *lc;

	foreach(lc, level->windowClause)
		if (lfirst_node(WindowClause, lc)->winref == function->winref)
			return lfirst_node(WindowClause, lc);
	elog(ERROR, "could not find window clause %u", function->winref);
}

static bool
is_ascending(Oid sort_operator)
{
	Oid			family;
	Oid			type;
	CompareType direction;

	return get_ordering_op_properties(sort_operator, &family, &type, &direction) && direction == COMPARE_LT;
}

/* ORDER BY must be the time, ascending. */
static ViewRefusal *
check_order(const Query *level, const WindowFunc *function, const WindowClause *clause)
{
	SortGroupClause *order;

	if (list_length(clause->orderClause) == 1)
	{
		order = linitial_node(SortGroupClause, clause->orderClause);
		if (is_ascending(order->sortop) &&
			equal(get_sortgroupclause_expr(order, level->targetList), linitial(function->args)))
			return NULL;
	}
	return refuse(function->location, "deltaflow.session needs a window ordered by its time",
				  "A session is found by the pauses between rows that follow each other.",
				  "Write deltaflow.session(ts, gap) OVER (PARTITION BY ... ORDER BY ts), with the same ts in both places, ascending.");
}

ViewRefusal *
session_window_call(const Query *level, const WindowFunc *function, WindowCall **call)
{
	WindowClause *clause = window_clause_of(level, function);
	ViewRefusal *refusal;
	ListCell   *lc;

	if (!is_session_function(function->winfnoid))
		return refuse(function->location,
					  psprintf("window function %s is not supported in the definition of a continuous view",
							   get_func_name(function->winfnoid)),
					  "Its value depends on other rows; of window functions only deltaflow.session can be kept row by row.",
					  "Put the window function in the query that reads the live view.");
	refusal = check_order(level, function, clause);
	if (refusal != NULL)
		return refusal;

	*call = palloc0(sizeof(WindowCall));
	(*call)->kind = WINDOW_CALL_SESSION;
	(*call)->function = function->winfnoid;
	(*call)->time = linitial(function->args);
	(*call)->args = list_copy_tail(function->args, 1);
	(*call)->location = function->location;
	foreach(lc, clause->partitionClause)
		(*call)->partition = lappend((*call)->partition,
									 get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc), level->targetList));
	return NULL;
}

ViewRefusal *
session_window_refuse_here(int location)
{
	return refuse(location, "window functions beside GROUP BY are not supported in the definition of a continuous view",
				  "Their value depends on other rows of the answer.",
				  "Call deltaflow.session in a subquery in FROM and group by it; put other window functions in the query that reads the live view.");
}

ViewRefusal *
session_window_refuse_condition(const Node *condition)
{
	return refuse(exprLocation(condition),
				  "conditions between deltaflow.session and GROUP BY are not supported in the definition of a continuous view",
				  "They would take rows out of sessions that were made with them.",
				  "Put the condition in the WHERE of the query that calls deltaflow.session, or in FILTER of the aggregates.");
}

/* ---- the grouping ---- */

static bool
list_has(const List *list, const Node *node)
{
	ListCell   *lc;

	foreach(lc, list)
		if (equal(lfirst(lc), node))
			return true;
	return false;
}

/* GROUP BY must be PARTITION BY and the session. */
static ViewRefusal *
check_grouping(const Definition *definition)
{
	const WindowCall *call = definition->window;
	List	   *grouped = NIL;
	bool		has_session = false;
	ListCell   *lc;

	foreach(lc, definition->group_clause)
	{
		Node	   *expr = get_sortgroupclause_expr(lfirst_node(SortGroupClause, lc), definition->tlist);

		if (is_window_var(expr))
			has_session = true;
		else if (list_has(call->partition, expr))
			grouped = lappend(grouped, expr);
		else
			return refuse(exprLocation(expr), "GROUP BY of a continuous view with sessions has an expression that is not in PARTITION BY",
						  "Rows of one session would go to different groups, or be told apart by the session itself.",
						  GROUP_HINT);
	}
	if (!has_session)
		return refuse(call->location, "GROUP BY of a continuous view with sessions lacks the session",
					  "Groups must be the sessions that deltaflow.session makes.", GROUP_HINT);
	foreach(lc, call->partition)
		if (!list_has(grouped, lfirst(lc)))
			return refuse(exprLocation(lfirst(lc)), "GROUP BY of a continuous view with sessions lacks an expression of PARTITION BY",
						  "Sessions of different keys may be equal in time, and would be counted as one.", GROUP_HINT);
	return NULL;
}

static bool
uses_session(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	return is_window_var(node) || expression_tree_walker(node, uses_session, arg);
}

/* Finds an aggregate over the session. */
static bool
aggregates_session(Node *node, Aggref **found)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref) && expression_tree_walker(node, uses_session, NULL))
	{
		*found = (Aggref *) node;
		return true;
	}
	return expression_tree_walker(node, aggregates_session, found);
}

static ViewRefusal *
check_aggregates(const Definition *definition)
{
	Aggref	   *found = NULL;

	if (!aggregates_session((Node *) definition->tlist, &found) && !aggregates_session(definition->having, &found))
		return NULL;
	return refuse(found->location, "aggregates over the session are not supported in the definition of a continuous view",
				  "Where a session ends is not known when its rows are taken in.",
				  "The session is the same for all rows of a group: use it outside of the aggregate.");
}

/* ---- the window ---- */

/* The gap: a positive constant. */
static ViewRefusal *
check_gap(const WindowCall *call, SessionSpec *session)
{
	Node	   *value = eval_const_expressions(NULL, linitial(call->args));
	WindowRefusal refusal;
	const WindowRefusalText *text;
	ViewRefusal *result;

	if (!IsA(value, Const) || ((Const *) value)->constisnull)
		return refuse(call->location, "gap of deltaflow.session must be a constant in the definition of a continuous view",
					  "Sessions that were stored with one gap cannot be merged with another.",
					  "Give an interval, or deltaflow.param('gap', interval '10 min') when deltaflow.run is to replace it.");
	session->interval = (Const *) value;
	refusal = session_gap(DatumGetIntervalP(session->interval->constvalue), &session->gap);
	if (refusal.code == WINDOW_ACCEPTED)
		return NULL;
	text = window_refusal_text(refusal.code);
	result = refuse(call->location, psprintf(text->message, refusal.argument), text->detail, text->hint);
	result->sqlstate = text->sqlstate;
	return result;
}

ViewRefusal *
session_window_analyse(const Definition *definition, WindowSpec *window)
{
	ViewRefusal *refusal = check_gap(definition->window, &window->session);

	if (refusal == NULL)
		refusal = check_grouping(definition);
	if (refusal == NULL)
		refusal = check_aggregates(definition);
	window->kind = WINDOW_SESSION;
	window->time = definition->window->time;
	window->time_type = exprType((Node *) definition->window->time);
	return refusal;
}

/* ---- over the state row ---- */

/* deltaflow.session_range(from, upto, gap) */
static Expr *
range_call(const ViewSpec *spec, Expr *from, Expr *upto)
{
	Oid			type = spec->window.time_type;
	Oid			types[3] = {type, type, INTERVALOID};
	Oid			function = LookupFuncName(list_make2(makeString("deltaflow"), makeString("session_range")), 3, types, false);

	return (Expr *) makeFuncExpr(function, get_func_rettype(function),
								 list_make3(from, upto, copyObject(spec->window.session.interval)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

static Expr *
column_var(const StateColumn *column)
{
	return (Expr *) makeVar(1, column->attnum, column->type, column->typmod, column->collation, 0);
}

Expr *
session_window_range(const ViewSpec *spec)
{
	return range_call(spec, column_var(&spec->keys[spec->window.key].column), column_var(&spec->window.session.last));
}

Expr *
session_window_bound(const ViewSpec *spec, Expr *range, bool upper)
{
	return (Expr *) makeFuncExpr(upper ? F_UPPER_ANYRANGE : F_LOWER_ANYRANGE, spec->window.time_type, list_make1(range),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

Expr *
session_window_var(const ViewSpec *spec)
{
	return (Expr *) makeVar(WINDOW_VARNO, 1, spec->window.time_type == TIMESTAMPOID ? TSRANGEOID : TSTZRANGEOID,
							-1, InvalidOid, 0);
}

/* The end of a session that would begin at the end of this one: nothing overflows so. */
Expr *
session_window_settled(const ViewSpec *spec)
{
	Expr	   *end = session_window_bound(spec, session_window_range(spec), true);

	return session_window_bound(spec, range_call(spec, column_var(&spec->keys[spec->window.key].column), end), true);
}
