/*
 * session_query.c
 *		A flattened definition over sessions as a query that can be run again.
 *
 *		SELECT k, lower(W.1), count(*) FROM t WHERE a AND lower(W.1) < u GROUP BY k, W.1
 *
 * becomes, W being the window and t the one relation:
 *
 *		SELECT x.1, lower(x.3), count(*) FROM (
 *			SELECT k, b, session(ts, gap) OVER (PARTITION BY k ORDER BY ts) FROM t WHERE a) x
 *		WHERE lower(x.3) < u GROUP BY x.1, x.3
 *
 * The lower level gives the columns of t that the upper one uses, and the session.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_oper.h"
#include "utils/lsyscache.h"

#include "batch/session_query.h"
#include "compat.h"
#include "view/session_window.h"

/* The lower level while it is made. */
typedef struct Lower
{
	Query	   *query;
	AttrNumber	session;		/* its column */
} Lower;

/* A column of the lower level for an expression over the source. */
static TargetEntry *
add_column(Lower *lower, Expr *expr, const char *name)
{
	AttrNumber	resno = list_length(lower->query->targetList) + 1;
	TargetEntry *entry = makeTargetEntry(expr, resno, pstrdup(name), false);

	lower->query->targetList = lappend(lower->query->targetList, entry);
	return entry;
}

/* The column that gives a Var of the source. */
static TargetEntry *
column_of(Lower *lower, const Var *var)
{
	ListCell   *lc;

	foreach(lc, lower->query->targetList)
		if (equal(lfirst_node(TargetEntry, lc)->expr, var))
			return lfirst_node(TargetEntry, lc);
	return add_column(lower, copyObject((Expr *) var), psprintf("column_%d", var->varattno));
}

/* Vars of the source and of the window become columns of the lower level. */
static Node *
over_lower(Node *node, void *arg)
{
	Lower	   *lower = arg;
	Var		   *var = (Var *) node;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, over_lower, arg);
	return (Node *) makeVar(1, is_window_var(node) ? lower->session : column_of(lower, var)->resno,
							var->vartype, var->vartypmod, var->varcollid, 0);
}

/* How an expression of the lower level is sorted, for PARTITION BY and ORDER BY. */
static SortGroupClause *
sort_clause(Lower *lower, Expr *expr, Index ref)
{
	SortGroupClause *clause = makeNode(SortGroupClause);

	get_sort_group_operators(exprType((Node *) expr), true, true, false,
							 &clause->sortop, &clause->eqop, NULL, &clause->hashable);
	clause->tleSortGroupRef = ref;
	add_column(lower, copyObject(expr), psprintf("sort_%u", ref))->ressortgroupref = ref;
	return clause;
}

/* The window function with its clause. */
static void
add_session(Lower *lower, const WindowCall *window)
{
	WindowFunc *function = makeNode(WindowFunc);
	WindowClause *clause = makeNode(WindowClause);
	Index		ref = 0;
	ListCell   *lc;

	clause->winref = 1;
	clause->frameOptions = FRAMEOPTION_DEFAULTS;
	foreach(lc, window->partition)
		clause->partitionClause = lappend(clause->partitionClause, sort_clause(lower, lfirst(lc), ++ref));
	clause->orderClause = list_make1(sort_clause(lower, window->time, ++ref));

	function->winfnoid = window->function;
	function->wintype = get_func_rettype(window->function);
	function->args = lcons(copyObject(window->time), copyObject(window->args));
	function->winref = clause->winref;
	function->location = -1;
	lower->session = add_column(lower, (Expr *) function, "session")->resno;
	lower->query->windowClause = list_make1(clause);
	lower->query->hasWindowFuncs = true;
}

static bool
uses_window(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	return is_window_var(node) || expression_tree_walker(node, uses_window, arg);
}

/* The conditions that use the session, or those that do not, AND'ed; NULL: none. */
static Node *
conditions(const Query *query, bool session)
{
	List	   *chosen = NIL;
	ListCell   *lc;

	foreach(lc, make_ands_implicit((Expr *) query->jointree->quals))
		if (uses_window(lfirst(lc), NULL) == session)
			chosen = lappend(chosen, lfirst(lc));
	return chosen == NIL ? NULL : (Node *) make_ands_explicit(chosen);
}

/* The names of a level's columns, as an RTE's eref wants them. */
static List *
column_names(const Query *query)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
		names = lappend(names, makeString(lfirst_node(TargetEntry, lc)->resname));
	return names;
}

/* The upper level's one FROM item. */
static RangeTblEntry *
lower_entry(Query *lower)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = lower;
	rte->inFromCl = true;
	rte->eref = makeAlias("deltaflow_sessions", column_names(lower));
	return rte;
}

void
session_query(Query *query, const WindowCall *window)
{
	Lower		lower = {makeNode(Query)};
	Node	   *above = conditions(query, true);

	lower.query->commandType = CMD_SELECT;
	lower.query->querySource = QSRC_ORIGINAL;
	lower.query->canSetTag = true;
	compat_take_range_table(lower.query, query);
	lower.query->jointree = makeFromExpr(query->jointree->fromlist, conditions(query, false));
	add_session(&lower, window);

	query->targetList = (List *) over_lower((Node *) query->targetList, &lower);
	query->havingQual = over_lower(query->havingQual, &lower);
	query->jointree = makeFromExpr(copyObject(query->jointree->fromlist), over_lower(above, &lower));
	query->rtable = list_make1(lower_entry(lower.query));
}
