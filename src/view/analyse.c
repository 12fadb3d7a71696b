/*
 * analyse.c
 *		From a definition to the ViewSpec that the engine runs.
 *
 *		Query --definition.c--> Definition --rules.c, volatility.c--> fit to keep
 *		                            |
 *		   GROUP BY --> keys (window first) ----+--> input_tlist: what is computed per row
 *		   aggregates --> fold kinds, columns --+--> state layout: keys, then aggregates
 *		   target list, HAVING -----------------+--> output over the state row
 *
 * Everything the spec says follows from the definition alone, so a spec can be made
 * again at any time, in any session, and fits the state table made at CREATE: order
 * and types of columns depend on nothing else.  Names of columns are for people.
 */
#include "postgres.h"

#include "access/nbtree.h"
#include "access/sysattr.h"
#include "catalog/heap.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_oper.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "view/aggregates.h"
#include "view/definition.h"
#include "view/pane_window.h"
#include "view/rules.h"
#include "view/session_window.h"
#include "view/window_key.h"

/* The work in progress. */
typedef struct Analysis
{
	Definition *definition;
	ViewSpec   *spec;
	List	   *key_exprs;		/* Expr of keys[], as in the definition; NULL for hidden ones */
	List	   *inputs;			/* Expr of the input columns, as in the definition */
	List	   *shared;			/* those that others may use: the same, or NULL */
	List	   *names;			/* String of the state columns named so far */
	ViewRefusal *refusal;
} Analysis;

/* ---- names of state columns ---- */

static bool
name_is_free(List *names, const char *name)
{
	ListCell   *lc;

	if (SystemAttributeByName(name) != NULL)
		return false;
	foreach(lc, names)
		if (strcmp(strVal(lfirst(lc)), name) == 0)
			return false;
	return true;
}

/* The name itself, or with the first number that makes it unique. */
static char *
unique_name(Analysis *analysis, const char *base, const char *suffix)
{
	char	   *name = *suffix ? makeObjectName(base, NULL, suffix + 1) : pstrdup(base);

	for (int i = 2; !name_is_free(analysis->names, name); i++)
		name = makeObjectName(base, NULL, psprintf("%s%d", *suffix ? suffix + 1 : "", i));
	analysis->names = lappend(analysis->names, makeString(name));
	return name;
}

/* The name of an output column that is just this expression; NULL when there is none. */
static const char *
output_name(const Definition *definition, const Node *expr)
{
	ListCell   *lc;

	foreach(lc, definition->tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk && tle->resname != NULL && equal(tle->expr, expr))
			return tle->resname;
	}
	return NULL;
}

/* ---- input columns ---- */

/* Number of the input column that computes this expression, from 0. */
static int
input_column(Analysis *analysis, Expr *expr)
{
	int			i = 0;
	ListCell   *lc;

	foreach(lc, analysis->shared)
	{
		if (equal(lfirst(lc), expr))
			return i;
		i++;
	}
	analysis->inputs = lappend(analysis->inputs, expr);
	analysis->shared = lappend(analysis->shared, expr);
	return i;
}

/* An input column that nothing else uses: folding may change it. */
static int
own_input_column(Analysis *analysis, Expr *expr)
{
	analysis->inputs = lappend(analysis->inputs, expr);
	analysis->shared = lappend(analysis->shared, NULL);
	return list_length(analysis->inputs) - 1;
}

static void
finish_inputs(Analysis *analysis)
{
	ViewSpec   *spec = analysis->spec;
	Bitmapset  *columns = NULL;
	List	   *quals;
	int			column = -1;
	ListCell   *lc;

	foreach(lc, analysis->inputs)
	{
		Expr	   *expr = expression_planner(copyObject(lfirst(lc)));

		spec->input_tlist = lappend(spec->input_tlist,
									makeTargetEntry(expr, ++spec->ninputs, NULL, false));
	}
	quals = copyObject(analysis->definition->quals);
	if (spec->window.kind == WINDOW_PANES)
		quals = lappend(quals, pane_window_condition(&spec->window));
	if (quals != NIL)
		spec->where = expression_planner(make_ands_explicit(quals));
	if (spec->where != NULL && IsA(spec->where, Const) &&
		!((Const *) spec->where)->constisnull && DatumGetBool(((Const *) spec->where)->constvalue))
		spec->where = NULL;

	pull_varattnos((Node *) spec->input_tlist, 1, &columns);
	pull_varattnos((Node *) spec->where, 1, &columns);
	columns = bms_add_members(columns, analysis->definition->also_read);
	while ((column = bms_next_member(columns, column)) >= 0)
		spec->source_columns = bms_add_member(spec->source_columns, column + FirstLowInvalidHeapAttributeNumber);
}

/* ---- keys ---- */

/* Whether equal values of the type always have equal bytes. */
static bool
equal_image(Oid type, Oid collation)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);
	Oid			function;

	/* trailing spaces of a bpchar without length compare equal */
	if (type == BPCHAROID)
		return false;
	function = get_opfamily_proc(entry->btree_opf, entry->btree_opintype, entry->btree_opintype, BTEQUALIMAGE_PROC);
	return OidIsValid(function) &&
		DatumGetBool(OidFunctionCall1Coll(function, collation, ObjectIdGetDatum(entry->btree_opintype)));
}

/* Groups are found by a hash of their keys: of the bytes, where equal values have equal ones, else by the type's. */
static ViewRefusal *
refuse_unhashable(const Expr *key, const SortGroupClause *clause)
{
	Oid			type = exprType((const Node *) key);

	if (clause->hashable || equal_image(type, exprCollation((const Node *) key)))
		return NULL;
	return refuse(exprLocation((const Node *) key),
				  psprintf("cannot group a continuous view by type %s", format_type_be(type)),
				  "The type has no hash function, by which groups are found.",
				  "Cast the expression to a type that has one, for example text.");
}

/* The next key.  hidden: the name of one that is not in the definition, else NULL. */
static void
fill_key(Analysis *analysis, const SortGroupClause *clause, Expr *expr, const char *hidden)
{
	ViewSpec   *spec = analysis->spec;
	GroupKey   *key = &spec->keys[spec->nkeys++];
	const char *name = hidden ? hidden : output_name(analysis->definition, (Node *) expr);
	RegProcedure hash_right;

	key->column.name = unique_name(analysis, name ? name : psprintf("key_%d", spec->nkeys), "");
	key->column.type = exprType((Node *) expr);
	key->column.typmod = exprTypmod((Node *) expr);
	key->column.collation = exprCollation((Node *) expr);
	key->column.attnum = ++spec->nstate_columns;
	key->input = hidden ? own_input_column(analysis, expr) : input_column(analysis, expr);
	key->eq_function = get_opcode(clause->eqop);
	key->sort_operator = clause->sortop;
	if (!clause->hashable || !get_op_hash_functions(clause->eqop, &key->hash_function, &hash_right))
		key->hash_function = InvalidOid;
	key->equal_image = equal_image(key->column.type, key->column.collation);
	analysis->key_exprs = lappend(analysis->key_exprs, hidden ? NULL : expr);
}

/* The pane and, for rows that were late for the first of its windows, from which one on they count. */
static void
fill_pane_keys(Analysis *analysis)
{
	WindowSpec *window = &analysis->spec->window;
	SortGroupClause clause = {T_SortGroupClause};

	get_sort_group_operators(window->time_type, true, true, false,
							 &clause.sortop, &clause.eqop, NULL, &clause.hashable);
	analysis->names = list_make2(makeString(WINDOW_START_COLUMN), makeString(WINDOW_END_COLUMN));
	fill_key(analysis, &clause, pane_window_start(window), PANE_COLUMN);
	fill_key(analysis, &clause, pane_window_open_from(window), OPEN_FROM_COLUMN);
}

/* Of sessions the time follows the keys of PARTITION BY: where the first and the last row of each are. */
static void
fill_session_columns(Analysis *analysis)
{
	ViewSpec   *spec = analysis->spec;
	StateColumn *last = &spec->window.session.last;
	SortGroupClause clause = {T_SortGroupClause};

	get_sort_group_operators(spec->window.time_type, true, true, false,
							 &clause.sortop, &clause.eqop, NULL, &clause.hashable);
	spec->window.key = spec->nkeys;
	fill_key(analysis, &clause, spec->window.time, "session_first");
	/* expressions above the window function cannot mean this column */
	analysis->key_exprs = list_truncate(analysis->key_exprs, spec->nkeys - 1);

	*last = spec->keys[spec->window.key].column;
	last->name = unique_name(analysis, "session_last", "");
	last->attnum = ++spec->nstate_columns;
	spec->window.end = session_window_settled(spec);
}

/* GROUP BY: the window goes first, the other keys follow as written. */
static void
analyse_keys(Analysis *analysis)
{
	Definition *definition = analysis->definition;
	ViewSpec   *spec = analysis->spec;
	int			window_clause = -1;
	int			i = 0;
	ListCell   *lc;

	spec->keys = palloc0(sizeof(GroupKey) * (list_length(definition->group_clause) + 2));
	if (spec->window.kind == WINDOW_PANES)
		fill_pane_keys(analysis);
	foreach(lc, definition->group_clause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Expr	   *expr = get_sortgroupclause_tle(clause, definition->tlist)->expr;

		analysis->refusal = refuse_key(expr, clause);
		if (analysis->refusal == NULL)
			analysis->refusal = refuse_unhashable(expr, clause);
		if (analysis->refusal != NULL)
			return;
		if (spec->window.kind == WINDOW_NONE && window_recognise(expr, &spec->window))
		{
			window_clause = i;
			fill_key(analysis, clause, expr, NULL);
		}
		i++;
	}
	i = 0;
	foreach(lc, definition->group_clause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Expr	   *expr = get_sortgroupclause_tle(clause, definition->tlist)->expr;

		/* what follows from the window alone is computed from it */
		if (i++ != window_clause && !uses_window((Node *) expr))
			fill_key(analysis, clause, expr, NULL);
	}
	if (spec->window.kind == WINDOW_SESSION)
		fill_session_columns(analysis);
	if (spec->nkeys > INDEX_MAX_KEYS)
		analysis->refusal = refuse(-1, psprintf("cannot group a continuous view by more than %d expressions", INDEX_MAX_KEYS),
								   "The state's index holds all of them.", "Group by fewer expressions.");
}

/* ---- aggregates ---- */

static FoldAggregate *
find_aggregate(const ViewSpec *spec, const Aggref *aggref)
{
	for (int i = 0; i < spec->naggregates; i++)
		if (equal(spec->aggregates[i].aggref, aggref))
			return &spec->aggregates[i];
	return NULL;
}

/*
 * An argument as input column.  Behind a FILTER it is computed only where the filter is
 * true: sum(1 / x) FILTER (WHERE x <> 0) does not fail in a plain query.
 */
static Expr *
guarded_argument(const Aggref *aggref, Expr *argument)
{
	CaseWhen   *when;
	CaseExpr   *guarded;

	if (aggref->aggfilter == NULL || IsA(argument, Var) || IsA(argument, Const))
		return argument;
	when = makeNode(CaseWhen);
	when->expr = aggref->aggfilter;
	when->result = argument;
	when->location = -1;
	guarded = makeNode(CaseExpr);
	guarded->casetype = exprType((Node *) argument);
	guarded->casecollid = exprCollation((Node *) argument);
	guarded->args = list_make1(when);
	guarded->defresult = (Expr *) makeNullConst(guarded->casetype, exprTypmod((Node *) argument), guarded->casecollid);
	guarded->location = -1;
	return (Expr *) guarded;
}

static void
fill_aggregate_inputs(Analysis *analysis, FoldAggregate *fold)
{
	ListCell   *lc;

	fold->filter = fold->aggref->aggfilter ? input_column(analysis, fold->aggref->aggfilter) : -1;
	fold->args = palloc0(sizeof(int) * (list_length(fold->aggref->args) + 1));
	foreach(lc, fold->aggref->args)
		fold->args[fold->nargs++] =
			input_column(analysis, guarded_argument(fold->aggref, lfirst_node(TargetEntry, lc)->expr));
}

static void
fill_aggregate_state(Analysis *analysis, FoldAggregate *fold)
{
	const char *name = output_name(analysis->definition, (Node *) fold->aggref);

	if (name == NULL)
		name = get_func_name(fold->aggref->aggfnoid);
	for (int i = 0; i < fold->nstate; i++)
	{
		fold->state[i].name = unique_name(analysis, name, aggregate_state_suffix(fold, i));
		fold->state[i].attnum = ++analysis->spec->nstate_columns;
	}
}

/* Meets every aggregate of the target list and HAVING once. */
static bool
collect_aggregates(Node *node, Analysis *analysis)
{
	ViewSpec   *spec = analysis->spec;
	FoldAggregate *fold;

	if (node == NULL)
		return false;
	if (!IsA(node, Aggref))
		return expression_tree_walker(node, collect_aggregates, analysis);
	if (find_aggregate(spec, (Aggref *) node) != NULL)
		return false;

	analysis->refusal = refuse_aggregate((Aggref *) node);
	if (analysis->refusal != NULL)
		return true;
	spec->aggregates = spec->naggregates == 0
		? palloc0(sizeof(FoldAggregate))
		: repalloc(spec->aggregates, sizeof(FoldAggregate) * (spec->naggregates + 1));
	fold = &spec->aggregates[spec->naggregates];
	memset(fold, 0, sizeof(FoldAggregate));
	analysis->refusal = aggregate_plan((Aggref *) node, fold);
	if (analysis->refusal != NULL)
		return true;
	spec->naggregates++;
	fill_aggregate_inputs(analysis, fold);
	fill_aggregate_state(analysis, fold);
	return false;
}

/* ---- output ---- */

/* The state column that holds a grouping expression; NULL when it is none. */
static Expr *
key_var(Analysis *analysis, const Node *node)
{
	int			i = 0;
	ListCell   *lc;

	foreach(lc, analysis->key_exprs)
	{
		StateColumn *column = &analysis->spec->keys[i++].column;

		if (equal(lfirst(lc), node))
			return (Expr *) makeVar(1, column->attnum, column->type, column->typmod, column->collation, 0);
	}
	return NULL;
}

/* Replaces grouping expressions and aggregates by what the state row holds. */
static Node *
over_state(Node *node, Analysis *analysis)
{
	Expr	   *key;

	if (node == NULL || analysis->refusal != NULL)
		return node;
	if (!IsA(node, List) && !IsA(node, TargetEntry) && (key = key_var(analysis, node)) != NULL)
		return (Node *) key;
	if (is_window_var(node) && analysis->spec->window.kind == WINDOW_SESSION)
		return (Node *) session_window_range(analysis->spec);
	if (IsA(node, Aggref))
		return (Node *) aggregate_final(find_aggregate(analysis->spec, (Aggref *) node));
	if (IsA(node, Var) && ((Var *) node)->varno == WINDOW_VARNO)
		return node;
	if (IsA(node, Var))
	{
		analysis->refusal = refuse(((Var *) node)->location,
								   psprintf("column \"%s\" must be listed in GROUP BY of a continuous view",
											get_attname(analysis->spec->source_relid, ((Var *) node)->varattno, false)),
								   "That it follows from a primary key is not used.",
								   "Add the column to GROUP BY.");
		return node;
	}
	if (IsA(node, GroupingFunc))
	{
		analysis->refusal = refuse(((GroupingFunc *) node)->location,
								   "GROUPING is not supported in the definition of a continuous view",
								   "There is only one grouping.", "Write 0 instead.");
		return node;
	}
	return expression_tree_mutator(node, over_state, analysis);
}

static void
analyse_output(Analysis *analysis)
{
	ListCell   *lc;
	AttrNumber	resno = 0;

	foreach(lc, analysis->definition->tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			continue;
		analysis->spec->output_tlist =
			lappend(analysis->spec->output_tlist,
					makeTargetEntry((Expr *) over_state((Node *) tle->expr, analysis), ++resno, tle->resname, false));
	}
	analysis->spec->having = (Expr *) over_state(analysis->definition->having, analysis);
}

/* ---- all of it ---- */

/* Expressions of the definition that do not follow from rows and pinned settings. */
static ViewRefusal *
check_expressions(const Definition *definition)
{
	ViewRefusal *refusal = refuse_changing((Node *) definition->quals);

	if (refusal == NULL)
		refusal = refuse_changing((Node *) definition->tlist);
	if (refusal == NULL)
		refusal = refuse_changing(definition->having);
	if (refusal == NULL && definition->window != NULL)
		refusal = refuse_changing((Node *) definition->window->time);
	if (refusal == NULL && definition->window != NULL)
		refusal = refuse_changing((Node *) definition->window->partition);
	return refusal;
}

/* The steps, each run while nothing is refused. */
static void
analyse_definition(Analysis *analysis)
{
	WindowCall *window = analysis->definition->window;

	analysis->refusal = check_expressions(analysis->definition);
	if (analysis->refusal == NULL && window != NULL && window->kind == WINDOW_CALL_SESSION)
		analysis->refusal = session_window_analyse(analysis->definition, &analysis->spec->window);
	if (analysis->refusal == NULL && window != NULL && window->kind != WINDOW_CALL_SESSION)
		analysis->refusal = pane_window_analyse(analysis->definition, &analysis->spec->window);
	if (analysis->refusal == NULL)
		analyse_keys(analysis);
	if (analysis->refusal == NULL)
		(void) collect_aggregates((Node *) analysis->definition->tlist, analysis);
	if (analysis->refusal == NULL)
		(void) collect_aggregates(analysis->definition->having, analysis);
	if (analysis->refusal == NULL)
		analyse_output(analysis);
	if (analysis->refusal == NULL)
	{
		finish_inputs(analysis);
		/* planning has put in default arguments, which are judged like the rest */
		analysis->refusal = refuse_changing((Node *) analysis->spec->input_tlist);
	}
}

/* Entry point: see definition.h. */
ViewRefusal *
definition_analyse(Definition *definition, ViewSpec **spec)
{
	Analysis	analysis = {.definition = definition};

	analysis.spec = palloc0(sizeof(ViewSpec));
	analysis.spec->source_relid = definition->source_relid;
	analyse_definition(&analysis);
	*spec = analysis.refusal == NULL ? analysis.spec : NULL;
	return analysis.refusal;
}

/* Entry point: see view_spec.h. */
ViewRefusal *
view_analyse(Query *query, ViewSpec **spec)
{
	Definition *definition;
	ViewRefusal *refusal = definition_flatten(query, &definition);

	*spec = NULL;
	return refusal != NULL ? refusal : definition_analyse(definition, spec);
}
