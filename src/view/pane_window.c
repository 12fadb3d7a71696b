/*
 * pane_window.c
 *		deltaflow.hop and deltaflow.cumulate in a definition: their panes, and where
 *		their columns may stand.
 *
 * A row has several windows, but one pane.  State is kept per pane and the windows are
 * made when the view is read, so whatever is done per row (WHERE, arguments and
 * conditions of aggregates) knows no window, and GROUP BY has to name one: it must
 * tell each window from all others.
 *
 *		hop			window_start or window_end, both have the other's order
 *		cumulate	window_end: windows of one cycle begin together
 *
 * Grouping expressions over nothing but the window's columns follow from these, and
 * cost nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "view/pane_window.h"
#include "view/rules.h"
#include "view/window_key.h"

/* What an expression reads. */
typedef struct Reads
{
	bool		source;
	bool		window;
	bool		column[WINDOW_END_ATTNO + 1];
	int			location;		/* of the first column of the window */
} Reads;

static bool
reads_walker(Node *node, Reads *reads)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		const Var  *var = (const Var *) node;

		if (var->varno != WINDOW_VARNO)
		{
			reads->source = true;
			return false;
		}
		if (!reads->window)
			reads->location = var->location;
		reads->window = true;
		reads->column[var->varattno] = true;
	}
	return expression_tree_walker(node, reads_walker, reads);
}

static Reads
reads_of(const Node *expr)
{
	Reads		reads = {.location = -1};

	(void) reads_walker(unconstify(Node *, expr), &reads);
	return reads;
}

bool
uses_window(const Node *expr)
{
	return reads_of(expr).window;
}

/* ---- the call's arguments ---- */

/* One of our functions, of these arguments. */
static Expr *
call_own(const char *name, Oid result, List *args)
{
	Oid			types[FUNC_MAX_ARGS];
	int			n = 0;
	ListCell   *lc;

	foreach(lc, args)
		types[n++] = exprType(lfirst(lc));
	return (Expr *) makeFuncExpr(LookupFuncName(list_make2(makeString("deltaflow"), makeString(pstrdup(name))), n, types, false),
								 result, args, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

static const char *
call_name(const WindowCall *call)
{
	return call->kind == WINDOW_CALL_HOP ? "hop" : "cumulate";
}

/* Takes one argument as a constant. */
static ViewRefusal *
constant_argument(const WindowCall *call, int i, const char *name, Const **result)
{
	Node	   *arg = list_nth(call->args, i);
	Node	   *value = eval_const_expressions(NULL, arg);

	*result = (Const *) value;
	if (IsA(value, Const) && !((Const *) value)->constisnull)
		return NULL;
	return refuse(exprLocation(arg),
				  psprintf("%s of %s must be a constant in the definition of a continuous view", name, call_name(call)),
				  "State is kept per pane, and all rows must have the same panes.",
				  psprintf("Write a constant, or deltaflow.param('%s', constant) for one that deltaflow.run may replace.", name));
}

/* Arguments of which no windows can be made, in the words of the function itself. */
static ViewRefusal *
refuse_shape(const WindowCall *call, WindowRefusal reason)
{
	const WindowRefusalText *text = window_refusal_text(reason.code);
	ViewRefusal *refusal = refuse(call->location, psprintf(text->message, reason.argument),
								  text->detail, text->hint);

	refusal->sqlstate = text->sqlstate;
	return refusal;
}

/* An interval of so many microseconds. */
static Const *
interval_const(int64 length)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = length;
	return makeConst(INTERVALOID, -1, InvalidOid, sizeof(Interval), IntervalPGetDatum(interval), false, false);
}

/* The pane ends a pane's width after its start: deltaflow.window_end(start, width). */
static Expr *
pane_end(const WindowSpec *window)
{
	return call_own("window_end", window->time_type,
					list_make2(makeVar(1, 1, window->time_type, -1, InvalidOid, 0),
							   interval_const(window->panes.shape.pane)));
}

/* The shape of the windows from the call's constants. */
static ViewRefusal *
analyse_call(const WindowCall *call, WindowSpec *window)
{
	bool		hop = call->kind == WINDOW_CALL_HOP;
	PaneSpec   *panes = &window->panes;
	ViewRefusal *refusal = constant_argument(call, 0, hop ? "slide" : "step", &panes->step);
	WindowRefusal reason;

	if (refusal == NULL)
		refusal = constant_argument(call, 1, "size", &panes->size);
	if (refusal == NULL)
		refusal = constant_argument(call, 2, "origin", &panes->origin);
	if (refusal != NULL)
		return refusal;

	reason = window_shape_make(hop ? SHAPE_HOP : SHAPE_CUMULATE,
							   DatumGetIntervalP(panes->step->constvalue),
							   DatumGetIntervalP(panes->size->constvalue),
							   DatumGetTimestamp(panes->origin->constvalue), &panes->shape);
	if (reason.code != WINDOW_ACCEPTED)
		return refuse_shape(call, reason);

	window->kind = WINDOW_PANES;
	window->key = 0;
	window->time = call->time;
	window->time_type = exprType((Node *) call->time);
	window->end = pane_end(window);
	return refuse_changing((Node *) call->time);
}

/* ---- where the window's columns stand ---- */

static ViewRefusal *
check_quals(const Definition *definition)
{
	Reads		reads = reads_of((Node *) definition->quals);

	if (!reads.window)
		return NULL;
	return refuse(reads.location, "columns of the window are not supported in WHERE of a continuous view",
				  "A row belongs to several windows, and state is kept per pane, before there are windows.",
				  "Put the condition in HAVING, or in the query that reads the live view.");
}

/* Finds an aggregate that uses the window. */
static bool
aggregate_walker(Node *node, Reads *reads)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		*reads = reads_of((Node *) ((Aggref *) node)->args);
		if (!reads->window)
			*reads = reads_of((Node *) ((Aggref *) node)->aggfilter);
		return reads->window;
	}
	return expression_tree_walker(node, aggregate_walker, reads);
}

static ViewRefusal *
check_aggregates(const Definition *definition)
{
	Reads		reads = {false};

	if (!aggregate_walker((Node *) definition->tlist, &reads) && !aggregate_walker(definition->having, &reads))
		return NULL;
	return refuse(reads.location, "columns of the window are not supported in aggregate functions of a continuous view",
				  "A row is aggregated once, in its pane, before there are windows.",
				  "Aggregate columns of the source, and compute with window_start and window_end above the aggregates.");
}

/* The column of the window that the expression is; 0: another expression. */
static AttrNumber
window_column(const Expr *expr)
{
	return IsA(expr, Var) && ((const Var *) expr)->varno == WINDOW_VARNO ? ((const Var *) expr)->varattno : 0;
}

/* GROUP BY has to tell windows apart, and may not mix their columns with others. */
static ViewRefusal *
check_grouping(const Definition *definition, PaneSpec *panes)
{
	bool		hop = definition->window->kind == WINDOW_CALL_HOP;
	bool		grouped[WINDOW_END_ATTNO + 1] = {false};
	ListCell   *lc;

	foreach(lc, definition->group_clause)
	{
		Expr	   *expr = get_sortgroupclause_tle(lfirst_node(SortGroupClause, lc), definition->tlist)->expr;
		Reads		reads = reads_of((Node *) expr);

		if (reads.window && reads.source)
			return refuse(reads.location, "a grouping expression of a continuous view cannot use columns of the window and of the source",
						  "State is kept per pane, before there are windows.",
						  "Group by both, and compute the expression above.");
		grouped[window_column(expr)] = true;
		panes->by_start |= reads.column[WINDOW_START_ATTNO];
		panes->by_end |= reads.column[WINDOW_END_ATTNO];
	}
	if (grouped[WINDOW_END_ATTNO] || (hop && grouped[WINDOW_START_ATTNO]))
		return NULL;
	if (grouped[WINDOW_START_ATTNO])
		return refuse(definition->window->location, "GROUP BY of a continuous view over cumulate must include window_end",
					  "Cumulative windows of one cycle begin together, so a row would count once for each of them.",
					  "Add window_end to GROUP BY.");
	return refuse(definition->window->location,
				  psprintf("GROUP BY of a continuous view over %s must include %s", call_name(definition->window),
						   hop ? "window_start or window_end" : "window_end"),
				  "Without it a row would count once for each of its windows.",
				  psprintf("Add %s to GROUP BY.", hop ? "window_start" : "window_end"));
}

ViewRefusal *
pane_window_analyse(const Definition *definition, WindowSpec *window)
{
	ViewRefusal *refusal = analyse_call(definition->window, window);

	if (refusal == NULL)
		refusal = check_quals(definition);
	if (refusal == NULL)
		refusal = check_aggregates(definition);
	if (refusal == NULL)
		refusal = check_grouping(definition, &window->panes);
	return refusal;
}

/* ---- what is computed per row ---- */

/* deltaflow.pane_start(width, time, origin): arguments in the order of date_bin */
Expr *
pane_window_start(const WindowSpec *window)
{
	return call_own("pane_start", window->time_type,
					list_make3(interval_const(window->panes.shape.pane), copyObject(window->time),
							   copyObject(window->panes.origin)));
}

/* -infinity: the group of rows that are late for no window */
Expr *
pane_window_open_from(const WindowSpec *window)
{
	return (Expr *) makeConst(window->time_type, -1, InvalidOid, sizeof(Timestamp),
							  TimestampGetDatum(DT_NOBEGIN), false, FLOAT8PASSBYVAL);
}

/*
 * The functions are strict: a row without event time has no window.  Where windows
 * begin more rarely than they last, rows between them have none either.
 */
Expr *
pane_window_condition(const WindowSpec *window)
{
	const PaneSpec *panes = &window->panes;
	NullTest   *test = makeNode(NullTest);

	if (panes->shape.kind == SHAPE_HOP && panes->shape.step > panes->shape.size)
		return call_own("has_window", BOOLOID,
						list_make4(copyObject(window->time), copyObject(panes->step),
								   copyObject(panes->size), copyObject(panes->origin)));
	test->arg = copyObject(window->time);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	return (Expr *) test;
}
