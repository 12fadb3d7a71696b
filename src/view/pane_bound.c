/*
 * pane_bound.c
 *		Conditions on windows, as bounds on the panes that are looked for.
 *
 * A live view by panes first finds its panes, then makes their windows (pane_sql.c).
 * Who asks for the last five minutes should not pay for finding the panes of a year,
 * but the planner knows nothing of how windows follow from panes: a condition on
 * window_start stops at the function that makes windows.  So the panes are looked for
 * between panes_from(-infinity, size) and panes_upto(infinity, size), and while these
 * calls are planned we look at what the planner has brought down to the windows:
 *
 *		SELECT .. FROM (WITH panes AS (SELECT .. WHERE pane >= panes_from(..) ..)
 *						SELECT .. FROM panes, hop_windows(..) w GROUP BY w.window_start
 *						HAVING w.window_start >= now() - '5 min')		<- from the reader's WHERE
 *
 *		window_start >= E, > E, = E		pane >= E
 *		window_end   >= E, > E, = E		pane >= E - size
 *		window_start <= E, < E, = E		pane <= E + size
 *		window_end   <= E, < E, = E		pane <= E
 *
 * E is an expression without columns.  The condition itself stays where it is, so a
 * bound may be too wide, never too narrow.  Where nothing is found the calls stay,
 * and give their first argument.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "view/pane_bound.h"
#include "view/pane_window.h"

/* What is asked of one query. */
typedef struct Search
{
	const Query *query;			/* that makes windows */
	Oid			time_type;
	bool		lower;			/* the bound that is wanted */
	Const	   *size;
	List	   *bounds;			/* Expr found */
} Search;

/* Whether the range table entry is our function that makes windows of panes. */
static bool
makes_windows(const RangeTblEntry *rte)
{
	Node	   *call;
	const char *name;

	if (rte->rtekind != RTE_FUNCTION)
		return false;
	call = linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	if (!IsA(call, FuncExpr) || get_func_namespace(((FuncExpr *) call)->funcid) != get_namespace_oid("deltaflow", true))
		return false;
	name = get_func_name(((FuncExpr *) call)->funcid);
	return strcmp(name, "hop_windows") == 0 || strcmp(name, "cumulate_windows") == 0;
}

/* The innermost query around the call that makes windows; NULL: none does. */
static const Query *
query_with_windows(const PlannerInfo *root)
{
	for (; root != NULL; root = root->parent_root)
	{
		ListCell   *lc;

		foreach(lc, root->parse->rtable)
			if (makes_windows(lfirst_node(RangeTblEntry, lc)))
				return root->parse;
	}
	return NULL;
}

/* The column of the window that the expression is; 0: it is none. */
static AttrNumber
window_column(const Search *search, const Node *node)
{
	const Var  *var = (const Var *) node;
	const RangeTblEntry *rte;
	List	   *grouped;

	if (!IsA(node, Var) || var->varlevelsup != 0 || var->varno < 1 ||
		var->varno > list_length(search->query->rtable))
		return 0;
	rte = rt_fetch(var->varno, search->query->rtable);
	grouped = rte_group_exprs(rte);
	if (grouped != NIL)
		return window_column(search, list_nth(grouped, var->varattno - 1));
	return makes_windows(rte) && var->varattno <= WINDOW_END_ATTNO ? var->varattno : 0;
}

/* Whether the expression means the same elsewhere in the statement. */
static bool
is_bound_to_query(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) || IsA(node, PlaceHolderVar) || IsA(node, SubLink) || IsA(node, SubPlan) ||
		IsA(node, AlternativeSubPlan) || IsA(node, Aggref) || IsA(node, GroupingFunc) || IsA(node, WindowFunc) ||
		(IsA(node, Param) && ((Param *) node)->paramkind != PARAM_EXTERN))
		return true;
	return expression_tree_walker(node, is_bound_to_query, context);
}

/* deltaflow.pane_shift(time, length) */
static Expr *
shift(const Search *search, Expr *time, int64 length)
{
	Oid			types[2] = {search->time_type, INTERVALOID};
	Interval   *interval = palloc0(sizeof(Interval));
	Const	   *by = makeConst(INTERVALOID, -1, InvalidOid, sizeof(Interval), IntervalPGetDatum(interval), false, false);

	interval->time = length;
	return (Expr *) makeFuncExpr(LookupFuncName(list_make2(makeString("deltaflow"), makeString("pane_shift")), 2, types, false),
								 search->time_type, list_make2(time, by), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/* Takes the bound, if any, that follows from column <strategy> value. */
static void
take_comparison(Search *search, AttrNumber column, int strategy, Node *value)
{
	int64		size = DatumGetIntervalP(search->size->constvalue)->time;
	bool		below = strategy != BTGreaterEqualStrategyNumber && strategy != BTGreaterStrategyNumber;
	bool		above = strategy != BTLessEqualStrategyNumber && strategy != BTLessStrategyNumber;
	Expr	   *bound = copyObject((Expr *) value);

	if (!(search->lower ? above : below) || is_bound_to_query(value, NULL) || contain_volatile_functions(value))
		return;
	if (search->lower && column == WINDOW_END_ATTNO)
		bound = shift(search, bound, -size);
	else if (!search->lower && column == WINDOW_START_ATTNO)
		bound = shift(search, bound, size);
	search->bounds = lappend(search->bounds, bound);
}

/* Looks at one comparison of two values of the time's type. */
static void
take_operator(Search *search, const OpExpr *clause)
{
	TypeCacheEntry *type = lookup_type_cache(search->time_type, TYPECACHE_BTREE_OPFAMILY);
	Oid			operator = clause->opno;
	Node	   *left = linitial(clause->args);
	Node	   *right = llast(clause->args);
	AttrNumber	column = list_length(clause->args) == 2 ? window_column(search, left) : 0;
	int			strategy;
	Oid			left_type;
	Oid			right_type;

	if (column == 0 && list_length(clause->args) == 2)
	{
		column = window_column(search, right);
		operator = get_commutator(operator);
		right = left;
	}
	if (column == 0 || !OidIsValid(operator) || !op_in_opfamily(operator, type->btree_opf))
		return;
	get_op_opfamily_properties(operator, type->btree_opf, false, &strategy, &left_type, &right_type);
	if (left_type == search->time_type && right_type == search->time_type)
		take_comparison(search, column, strategy, right);
}

/* Goes through conditions that must all be true. */
static void
take_conditions(Search *search, Node *node)
{
	ListCell   *lc;
	List	   *parts = NIL;

	if (node == NULL)
		return;
	if (IsA(node, OpExpr))
		take_operator(search, (OpExpr *) node);
	else if (is_andclause(node))
		parts = ((BoolExpr *) node)->args;
	else if (IsA(node, List))
		parts = (List *) node;
	foreach(lc, parts)
		take_conditions(search, lfirst(lc));
}

Node *
pane_bound_simplify(const SupportRequestSimplify *request, bool lower)
{
	Search		search = {.lower = lower};
	MinMaxExpr *strictest;

	search.query = query_with_windows(request->root);
	search.size = lsecond(request->fcall->args);
	if (search.query == NULL || !IsA(search.size, Const) || search.size->constisnull)
		return NULL;
	search.time_type = request->fcall->funcresulttype;
	take_conditions(&search, search.query->havingQual);
	if (list_length(search.bounds) < 2)
		return search.bounds == NIL ? NULL : linitial(search.bounds);

	strictest = makeNode(MinMaxExpr);
	strictest->minmaxtype = search.time_type;
	strictest->op = lower ? IS_GREATEST : IS_LEAST;
	strictest->args = search.bounds;
	strictest->location = -1;
	return (Node *) strictest;
}
