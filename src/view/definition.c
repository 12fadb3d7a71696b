/*
 * definition.c
 *		From the analysed query of a definition to expressions over one relation.
 *
 * In:  a Query as the parser leaves it: its FROM may name plain views, common table
 *      expressions and subqueries, and on PostgreSQL 18 its grouped columns are Vars
 *      of an RTE of their own.
 * Out: a Definition: the source relation, and WHERE, target list, GROUP BY and HAVING
 *      over it, every Var with varno 1.
 *
 *      SELECT k, sum(v) FROM w GROUP BY k          w:  SELECT a + 1 AS k, b AS v FROM t WHERE c
 *                 |                                            |
 *                 +---- Var(w.k) := a + 1, Var(w.v) := b ------+
 *                                   |
 *              source t, WHERE c, GROUP BY a + 1, sum(b)
 *
 * Beside the source FROM may have deltaflow.hop or cumulate, which give each row its
 * windows: the call becomes Definition.window, its columns Vars of WINDOW_VARNO.
 *
 * This is the only place that knows of range tables: whoever reads a Definition or a
 * ViewSpec sees one relation.  A level below the outermost one must be a projection
 * and filter, which is what makes the substitution right; rules.c says so, level by level.
 *
 * Locks: AccessShareLock on every relation met, kept until the transaction ends, as
 * for a reader of the view.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "view/definition.h"
#include "view/rules.h"
#include "view/session_window.h"

/* One query level while it is substituted. */
typedef struct Level
{
	const Query *query;
	int			from;			/* range table index of its one FROM item that brings rows */
	int			window;			/* of deltaflow.hop or cumulate beside it; 0: none */
	List	   *conditions;		/* of the join between the two */
	Oid			source_relid;	/* that item when it is the source, else InvalidOid */
	List	   *inner;			/* target list of the level below, else NIL */
	const WindowFunc *session;	/* its call of deltaflow.session, NULL: none met so far */
	Definition *definition;		/* where that call goes */
	ViewRefusal *refusal;		/* first thing wrong with a Var */
} Level;

/* Queries that enclose a level, innermost first: where CTE names are looked up. */
typedef struct Scope
{
	const Query *query;
	const struct Scope *outer;
} Scope;

static ViewRefusal *flatten(const Query *query, const Scope *outer, bool outermost, Definition *definition);

/* The analysed query of a plain view, ours to scribble on, its relations locked as for a reader. */
Query *
view_definition(Oid batch_relid)
{
	Relation	view = table_open(batch_relid, AccessShareLock);
	Query	   *query;

	if (view->rd_rel->relkind != RELKIND_VIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a view", RelationGetRelationName(view))));

	query = copyObject(get_view_query(view));
	table_close(view, NoLock);
	AcquireRewriteLocks(query, true, false);
	return query;
}

/* Functions that give windows, by their names in our schema. */
static const struct
{
	const char *name;
	WindowCallKind kind;
}			window_functions[] =
{
	{"hop", WINDOW_CALL_HOP},
	{"cumulate", WINDOW_CALL_CUMULATE},
	{"session", WINDOW_CALL_SESSION},
};

bool
window_function_kind(Oid function, WindowCallKind *kind)
{
	char	   *name;

	if (get_func_namespace(function) != get_namespace_oid("deltaflow", true))
		return false;
	name = get_func_name(function);
	for (int i = 0; i < lengthof(window_functions); i++)
		if (strcmp(name, window_functions[i].name) == 0)
		{
			*kind = window_functions[i].kind;
			return true;
		}
	return false;
}

/* The call of hop or cumulate that a FROM item is; NULL: it is something else. */
static FuncExpr *
window_item_call(const RangeTblEntry *rte)
{
	Node	   *call;
	WindowCallKind kind;

	if (rte->rtekind != RTE_FUNCTION)
		return NULL;
	call = linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	if (!IsA(call, FuncExpr) || !window_function_kind(((FuncExpr *) call)->funcid, &kind))
		return NULL;
	return (FuncExpr *) call;
}

static ViewRefusal *
refuse_second_window(const FuncExpr *call)
{
	return refuse(call->location, "more than one window function is not supported in the definition of a continuous view",
				  "A group belongs to one window.",
				  "Create one continuous view per kind of window.");
}

/* The range table entry that a FROM item names; NULL: it is a join. */
static const RangeTblEntry *
item_entry(const Query *query, const Node *item)
{
	return IsA(item, RangeTblRef) ? rt_fetch(((const RangeTblRef *) item)->rtindex, query->rtable) : NULL;
}

static ViewRefusal *
refuse_join(void)
{
	return refuse(-1, "joins are not supported in the definition of a continuous view",
				  "The definition must read exactly one source.",
				  "Join in the query that reads the live view, or look values up when rows are ingested.");
}

/* A join other than with a function that gives windows, or not an inner one. */
static ViewRefusal *
check_join(const Query *query, const JoinExpr *join)
{
	const RangeTblEntry *right = item_entry(query, join->rarg);

	if (right == NULL || window_item_call(right) == NULL)
		return refuse_join();
	if (join->jointype != JOIN_INNER)
		return refuse(exprLocation((Node *) window_item_call(right)),
					  psprintf("outer join with %s is not supported in the definition of a continuous view",
							   get_func_name(window_item_call(right)->funcid)),
					  "A row without event time has no window, and so no group.",
					  "Use CROSS JOIN LATERAL.");
	return NULL;
}

/* Finds the source and the function that gives windows among FROM items. */
static ViewRefusal *
find_from_item(const Query *query, const Node *item, Level *level)
{
	ViewRefusal *refusal;

	if (IsA(item, JoinExpr))
	{
		const JoinExpr *join = (const JoinExpr *) item;

		refusal = check_join(query, join);
		if (refusal == NULL)
			refusal = find_from_item(query, join->larg, level);
		if (refusal == NULL)
			refusal = find_from_item(query, join->rarg, level);
		if (join->quals != NULL)
			level->conditions = lappend(level->conditions, join->quals);
		return refusal;
	}
	if (level->from == 0)
		level->from = ((const RangeTblRef *) item)->rtindex;
	else if (window_item_call(item_entry(query, item)) == NULL)
		return refuse_join();
	else if (level->window == 0)
		level->window = ((const RangeTblRef *) item)->rtindex;
	else
		return refuse_second_window(window_item_call(item_entry(query, item)));
	return NULL;
}

/* What FROM consists of: one item that brings rows and, maybe, a function that gives their windows. */
static ViewRefusal *
find_from_items(const Query *query, Level *level)
{
	ListCell   *lc;

	if (query->jointree->fromlist == NIL)
		return refuse(-1, "definition of a continuous view must read from a table or topic",
					  "There is no FROM clause.",
					  "Select from the target table of an ingest or from a topic.");
	foreach(lc, query->jointree->fromlist)
	{
		ViewRefusal *refusal = find_from_item(query, lfirst(lc), level);

		if (refusal != NULL)
			return refusal;
	}
	return NULL;
}

/* The query behind a CTE's name as seen from a level; *scope becomes the level that holds it. */
static CommonTableExpr *
find_cte(const RangeTblEntry *rte, const Scope **scope)
{
	ListCell   *lc;

	for (Index up = rte->ctelevelsup; up > 0; up--)
		*scope = (*scope)->outer;

	foreach(lc, (*scope)->query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return cte;
	}
	elog(ERROR, "could not find CTE \"%s\"", rte->ctename);
}

/* FROM names a common table expression. */
static ViewRefusal *
flatten_cte(const RangeTblEntry *rte, const Scope *scope, Definition *definition)
{
	CommonTableExpr *cte = find_cte(rte, &scope);
	ViewRefusal *refusal;

	if (cte->cterecursive)
		return refuse(cte->location, "recursive queries are not supported in the definition of a continuous view",
					  "A recursive answer does not follow from each row alone.",
					  "Use a common table expression that only selects and filters.");
	refusal = flatten(castNode(Query, cte->ctequery), scope, false, definition);
	if (cte->ctematerialized == CTEMaterializeAlways && refusal == NULL)
		pull_varattnos((Node *) definition->tlist, 1, &definition->also_read);
	return refusal;
}

/* FROM names a relation: the source itself, or a plain view over it. */
static ViewRefusal *
flatten_relation(const RangeTblEntry *rte, Definition *definition)
{
	Relation	relation = table_open(rte->relid, AccessShareLock);
	ViewRefusal *refusal = refuse_relation(relation, rte);
	bool		is_view = relation->rd_rel->relkind == RELKIND_VIEW;

	table_close(relation, NoLock);
	if (refusal != NULL)
		return refusal;
	if (is_view && view_by_live(rte->relid) != NULL)
		return refuse(-1, psprintf("continuous view \"%s\" cannot be the source of another", get_rel_name(rte->relid)),
					  "What changes in its rows is not passed on.",
					  "Read the same source in both definitions, or aggregate the live view in the query that reads it.");
	if (is_view)
		return flatten(view_definition(rte->relid), NULL, false, definition);

	definition->source_relid = rte->relid;
	return NULL;
}

/* Whatever stands in FROM, down to the source. */
static ViewRefusal *
flatten_from_item(const RangeTblEntry *rte, const Scope *scope, Definition *definition)
{
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			return flatten_relation(rte, definition);
		case RTE_SUBQUERY:
			return flatten(rte->subquery, scope, false, definition);
		case RTE_CTE:
			return flatten_cte(rte, scope, definition);
		default:
			return refuse(-1, psprintf("\"%s\" in FROM cannot be the source of a continuous view", rte->eref->aliasname),
						  "Functions, VALUES lists and the like bring no rows of a source.",
						  "Select from the target table of an ingest or from a topic.");
	}
}

static Node *substitute_vars(Node *node, Level *level);

/* A window function becomes the definition's window, and a Var of it. */
static Node *
substitute_window(WindowFunc *function, Level *level)
{
	WindowCall *call = NULL;
	bool		first = level->session == NULL;

	if (first)
		level->refusal = session_window_call(level->query, function, &call);
	if (level->refusal == NULL && (first ? level->definition->window != NULL : !equal(level->session, function)))
		level->refusal = refuse(function->location, "more than one window function is not supported in the definition of a continuous view",
								"A group belongs to one window.",
								"Create one continuous view per kind of window.");
	if (first && level->refusal == NULL)
	{
		level->session = function;
		call->time = (Expr *) substitute_vars((Node *) call->time, level);
		call->args = (List *) substitute_vars((Node *) call->args, level);
		call->partition = (List *) substitute_vars((Node *) call->partition, level);
		level->definition->window = call;
	}
	return (Node *) makeVar(WINDOW_VARNO, 1, function->wintype, -1, function->wincollid, 0);
}

/* A column of the function that gives windows. */
static Node *
window_var(const Var *var, Level *level)
{
	Var		   *copy = (Var *) copyObjectImpl(var);

	level->refusal = refuse_column(InvalidOid, var);
	copy->varno = WINDOW_VARNO;
	copy->varnosyn = 0;
	copy->varattnosyn = 0;
	return (Node *) copy;
}

/* Replaces a level's Vars by what they stand for over the source. */
static Node *
substitute_vars(Node *node, Level *level)
{
	if (node == NULL || level->refusal != NULL)
		return node;
	if (IsA(node, WindowFunc))
		return substitute_window((WindowFunc *) node, level);
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		const RangeTblEntry *rte = rt_fetch(var->varno, level->query->rtable);
		List	   *grouped = rte_group_exprs(rte);

		Assert(var->varlevelsup == 0);
		if (grouped != NIL)
			return substitute_vars(list_nth(grouped, var->varattno - 1), level);
		if (rte->rtekind == RTE_JOIN)
			return substitute_vars(list_nth(rte->joinaliasvars, var->varattno - 1), level);
		if (var->varno == level->window)
			return window_var(var, level);
		if (var->varno != level->from)
			elog(ERROR, "unexpected range table entry %d in a definition", var->varno);

		level->refusal = refuse_column(level->source_relid, var);
		if (level->refusal != NULL)
			return node;
		if (OidIsValid(level->source_relid))
		{
			Var		   *copy = copyObject(var);

			copy->varno = 1;
			copy->varnosyn = 0;
			copy->varattnosyn = 0;
			return (Node *) copy;
		}
		return copyObject((Node *) list_nth_node(TargetEntry, level->inner, var->varattno - 1)->expr);
	}
	return expression_tree_mutator(node, substitute_vars, level);
}

/* The call beside the source, its arguments over the source. */
static ViewRefusal *
take_window_call(const Query *query, Level *level, Definition *definition)
{
	const RangeTblEntry *rte = rt_fetch(level->window, query->rtable);
	FuncExpr   *call = window_item_call(rte);
	WindowCall *window = palloc0(sizeof(WindowCall));
	HeapTuple	function;
	List	   *args;

	if (definition->window != NULL)
		return refuse_second_window(call);
	if (rte->funcordinality || list_length(rte->functions) > 1)
		return refuse(call->location, psprintf("%s is not supported in the definition of a continuous view",
											   rte->funcordinality ? "WITH ORDINALITY" : "ROWS FROM"),
					  "The number of a row's window has no meaning for a group.",
					  psprintf("Write CROSS JOIN LATERAL deltaflow.%s(...) alone.", get_func_name(call->funcid)));

	function = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
	if (!HeapTupleIsValid(function))
		elog(ERROR, "cache lookup failed for function %u", call->funcid);
	args = expand_function_arguments(copyObject(call->args), false, call->funcresulttype, function);
	ReleaseSysCache(function);

	(void) window_function_kind(call->funcid, &window->kind);
	window->function = call->funcid;
	window->location = call->location;
	window->time = (Expr *) substitute_vars(linitial(args), level);
	window->args = (List *) substitute_vars((Node *) list_copy_tail(args, 1), level);
	definition->window = window;
	return level->refusal;
}

/*
 * One level: flatten what is below it, then bring its own clauses over the source.
 * On return the definition's target list is this level's.
 */
static ViewRefusal *
flatten(const Query *query, const Scope *outer, bool outermost, Definition *definition)
{
	Scope		scope = {query, outer};
	Level		level = {.query = query, .definition = definition};
	ViewRefusal *refusal;
	List	   *inner_quals;
	bool		above_session;

	check_stack_depth();

	refusal = refuse_query(unconstify(Query *, query), outermost);
	if (refusal != NULL)
		return refusal;
	refusal = find_from_items(query, &level);
	if (refusal != NULL)
		return refusal;
	check_query_permissions(query);

	refusal = flatten_from_item(rt_fetch(level.from, query->rtable), &scope, definition);
	if (refusal != NULL)
		return refusal;
	inner_quals = definition->quals;
	above_session = definition->window != NULL && definition->window->kind == WINDOW_CALL_SESSION;
	if (above_session && query->jointree->quals != NULL)
		return session_window_refuse_condition(query->jointree->quals);
	level.inner = definition->tlist;
	if (level.inner == NIL)
		level.source_relid = definition->source_relid;
	if (level.window != 0)
		refusal = take_window_call(query, &level, definition);
	if (refusal != NULL)
		return refusal;

	definition->tlist = (List *) substitute_vars((Node *) query->targetList, &level);
	definition->quals = list_concat(inner_quals, (List *) substitute_vars((Node *) level.conditions, &level));
	if (query->jointree->quals != NULL)
		definition->quals = lappend(definition->quals, substitute_vars(query->jointree->quals, &level));
	definition->group_clause = query->groupClause;
	definition->having = substitute_vars(query->havingQual, &level);
	return level.refusal;
}

/* The window's expressions mutated. */
static WindowCall *
mutate_window(const WindowCall *window, Node *(*mutator) (Node *node, void *arg), void *arg)
{
	WindowCall *copy = palloc(sizeof(WindowCall));

	*copy = *window;
	copy->time = (Expr *) mutator((Node *) window->time, arg);
	copy->args = (List *) mutator((Node *) window->args, arg);
	copy->partition = (List *) mutator((Node *) window->partition, arg);
	return copy;
}

Definition *
definition_mutate(const Definition *definition, Node *(*mutator) (Node *node, void *arg), void *arg)
{
	Definition *copy = palloc(sizeof(Definition));

	*copy = *definition;
	if (definition->window != NULL)
		copy->window = mutate_window(definition->window, mutator, arg);
	copy->quals = (List *) mutator((Node *) definition->quals, arg);
	copy->tlist = (List *) mutator((Node *) definition->tlist, arg);
	copy->group_clause = copyObject(definition->group_clause);
	copy->having = mutator(definition->having, arg);
	copy->also_read = bms_copy(definition->also_read);
	return copy;
}

static Node *
copy_node(Node *node, void *arg)
{
	return copyObject(node);
}

Definition *
definition_copy(const Definition *definition)
{
	return definition_mutate(definition, copy_node, NULL);
}

/* Entry point: see definition.h. */
ViewRefusal *
definition_flatten(const Query *query, Definition **definition)
{
	*definition = palloc0(sizeof(Definition));
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL)
		return refuse(-1, "definition of a continuous view must be a SELECT", NULL,
					  "Give one SELECT that groups and aggregates a source.");
	return flatten(query, NULL, true, *definition);
}
