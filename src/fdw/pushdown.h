/*
 * pushdown.h
 *		Conditions of a query on a topic's partition, offset and timestamp columns.
 */
#ifndef DELTAFLOW_FDW_PUSHDOWN_H
#define DELTAFLOW_FDW_PUSHDOWN_H

#include "nodes/execnodes.h"
#include "nodes/pg_list.h"

#include "fdw/range.h"
#include "fdw/topic.h"

/* One comparison: a node of the tree and the expression its values come from. */
typedef struct Comparison
{
	RangeNode  *node;
	Expr	   *value;			/* no columns in it, not volatile */
	Oid			type;			/* of the value; of an element when is_array */
	bool		is_array;
	ExprState  *state;
} Comparison;

typedef struct Pushdown
{
	RangeNode  *root;			/* AND of the clauses */
	List	   *comparisons;	/* of Comparison * */
} Pushdown;

/*
 * Reads clauses over the topic's columns (Vars of varno).  Never fails: what is
 * not understood becomes RANGE_ALL.
 */
extern Pushdown *pushdown_build(List *clauses, Index varno, const Topic *topic);

/* Whether a clause says anything about positions. */
extern bool pushdown_understands(Expr *clause, Index varno, const Topic *topic);

/* Before the first evaluation, in the executor. */
extern void pushdown_init(Pushdown *pushdown, PlanState *parent);

/* Computes the values of all comparisons as of now. */
extern void pushdown_evaluate(Pushdown *pushdown, ExprContext *context);

/* The same outside the executor: false, and nothing done, when a value is not a constant. */
extern bool pushdown_evaluate_constants(Pushdown *pushdown);

#endif							/* DELTAFLOW_FDW_PUSHDOWN_H */
