/*
 * pushdown.c
 *		Conditions of a query on a topic's partition, offset and timestamp columns.
 *
 * In go the clauses of the WHERE that concern one topic, out comes the tree that
 * range.c turns into regions.  Understood are column OP value, value OP column and
 * column = ANY (array) for the btree operators of integers and times, under AND
 * and OR at any depth; the value may be anything that stays the same during a
 * scan: constants, parameters, stable functions, results of subqueries.
 *
 * The same clauses are read twice: by the planner, to see which are worth
 * keeping for the scan, and by the executor, which finds them in fdw_exprs.
 * They stay quals of the plan as well: nothing here decides about a row.
 *
 * Memory: CurrentMemoryContext of each call.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "compat.h"
#include "fdw/pushdown.h"
#include "fdw/start.h"

/* What the recursive reading needs. */
typedef struct Reader
{
	Index		varno;
	const Topic *topic;
	Pushdown   *pushdown;
} Reader;

static RangeNode *read_clause(Reader *reader, Expr *clause);

/* A node without children or values. */
static RangeNode *
make_node(RangeOp op)
{
	RangeNode  *node = palloc0(sizeof(RangeNode));

	node->op = op;
	return node;
}

/* RANGE_PARTITION, RANGE_OFFSET or RANGE_TIME for such a column; else RANGE_ALL. */
static RangeOp
column_op(const Reader *reader, const Expr *expr)
{
	const Var  *var = (const Var *) expr;

	if (!IsA(expr, Var) || var->varno != reader->varno || var->varlevelsup != 0)
		return RANGE_ALL;
	for (int i = 0; i < reader->topic->ncolumns; i++)
	{
		const TopicColumn *column = &reader->topic->columns[i];

		if (column->attnum != var->varattno)
			continue;
		switch (column->kind)
		{
			case COLUMN_PARTITION:
				return RANGE_PARTITION;
			case COLUMN_OFFSET:
				return RANGE_OFFSET;
			case COLUMN_TIMESTAMP:
				return RANGE_TIME;
			default:
				return RANGE_ALL;
		}
	}
	return RANGE_ALL;
}

/* Whether a value of this type can be compared with such a column by to_position(). */
static bool
is_position_type(RangeOp op, Oid type)
{
	if (op == RANGE_TIME)
		return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/* Whether the expression has one value for the whole scan. */
static bool
is_fixed(Expr *expr)
{
	return !contain_var_clause((Node *) expr) &&
		!contain_subplans((Node *) expr) &&
		!contain_volatile_functions((Node *) expr);
}

/* A comparison of a column with a value; RANGE_ALL when it is not one of ours. */
static RangeNode *
read_comparison(Reader *reader, Expr *column, Expr *value, Oid operator, bool is_array)
{
	RangeOp		op = column_op(reader, column);
	Oid			type = exprType((Node *) value);
	Oid			family;
	int			strategy;
	Comparison *comparison;

	if (is_array)
		type = get_element_type(type);
	if (op == RANGE_ALL || !OidIsValid(operator) || !is_position_type(op, type) || !is_fixed(value))
		return make_node(RANGE_ALL);
	family = lookup_type_cache(exprType((Node *) column), TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	strategy = get_op_opfamily_strategy(operator, family);
	if (strategy == 0)
		return make_node(RANGE_ALL);
	/* an upper bound in time says nothing, so leave it to the executor */
	if (op == RANGE_TIME && strategy < BTEqualStrategyNumber)
		return make_node(RANGE_ALL);

	comparison = palloc0(sizeof(Comparison));
	comparison->node = make_node(op);
	comparison->node->strategy = strategy;
	comparison->value = value;
	comparison->type = type;
	comparison->is_array = is_array;
	reader->pushdown->comparisons = lappend(reader->pushdown->comparisons, comparison);
	return comparison->node;
}

/* column OP value or value OP column. */
static RangeNode *
read_operator(Reader *reader, OpExpr *clause)
{
	Expr	   *left;
	Expr	   *right;

	if (list_length(clause->args) != 2)
		return make_node(RANGE_ALL);
	left = linitial(clause->args);
	right = lsecond(clause->args);
	if (column_op(reader, left) != RANGE_ALL)
		return read_comparison(reader, left, right, clause->opno, false);
	return read_comparison(reader, right, left, get_commutator(clause->opno), false);
}

/* column OP ANY (array). */
static RangeNode *
read_any(Reader *reader, ScalarArrayOpExpr *clause)
{
	if (!clause->useOr)
		return make_node(RANGE_ALL);
	return read_comparison(reader, linitial(clause->args), lsecond(clause->args), clause->opno, true);
}

/* AND, OR; the arguments of an OR must all say something, or it says nothing. */
static RangeNode *
read_list(Reader *reader, RangeOp op, List *clauses)
{
	RangeNode  *node = make_node(op);
	ListCell   *cell;

	node->children = palloc(Max(list_length(clauses), 1) * sizeof(RangeNode *));
	foreach(cell, clauses)
	{
		RangeNode  *child = read_clause(reader, lfirst(cell));

		if (child->op == RANGE_ALL && op == RANGE_OR)
			return child;
		if (child->op != RANGE_ALL)
			node->children[node->nchildren++] = child;
	}
	return node->nchildren > 0 ? node : make_node(RANGE_ALL);
}

/* Any clause. */
static RangeNode *
read_clause(Reader *reader, Expr *clause)
{
	if (IsA(clause, OpExpr))
		return read_operator(reader, (OpExpr *) clause);
	if (IsA(clause, ScalarArrayOpExpr))
		return read_any(reader, (ScalarArrayOpExpr *) clause);
	if (is_andclause(clause))
		return read_list(reader, RANGE_AND, ((BoolExpr *) clause)->args);
	if (is_orclause(clause))
		return read_list(reader, RANGE_OR, ((BoolExpr *) clause)->args);
	return make_node(RANGE_ALL);
}

Pushdown *
pushdown_build(List *clauses, Index varno, const Topic *topic)
{
	Pushdown   *pushdown = palloc0(sizeof(Pushdown));
	Reader		reader = {varno, topic, pushdown};

	pushdown->root = read_list(&reader, RANGE_AND, clauses);
	return pushdown;
}

bool
pushdown_understands(Expr *clause, Index varno, const Topic *topic)
{
	return pushdown_build(list_make1(clause), varno, topic)->root->op != RANGE_ALL;
}

void
pushdown_init(Pushdown *pushdown, PlanState *parent)
{
	ListCell   *cell;

	foreach(cell, pushdown->comparisons)
	{
		Comparison *comparison = lfirst(cell);

		comparison->state = ExecInitExpr(comparison->value, parent);
	}
}

/* A value as partition, offset or milliseconds since 1970. */
static int64
to_position(Oid type, Datum value)
{
	TimestampTz time;
	int			overflow = 0;

	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		case TIMESTAMPOID:
			time = timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value), &overflow);
			break;
		case DATEOID:
			time = date2timestamptz_opt_overflow(DatumGetDateADT(value), &overflow);
			break;
		default:
			time = DatumGetTimestampTz(value);
			break;
	}
	/* no such instant, but the server's comparisons know before or behind which ones it is */
	if (overflow != 0)
		time = overflow < 0 ? DT_NOBEGIN : DT_NOEND;
	return kafka_milliseconds(time);
}

/* Takes the elements of an array; NULLs are equal to nothing. */
static void
set_array_values(Comparison *comparison, Datum array)
{
	int16		length;
	bool		by_value;
	char		alignment;
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	RangeNode  *node = comparison->node;

	get_typlenbyvalalign(comparison->type, &length, &by_value, &alignment);
	deconstruct_array(DatumGetArrayTypeP(array), comparison->type, length, by_value, alignment,
					  &elements, &nulls, &n);
	node->values = palloc(Max(n, 1) * sizeof(int64));
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			node->values[node->nvalues++] = to_position(comparison->type, elements[i]);
}

/* Sets the values of one comparison. */
static void
set_values(Comparison *comparison, Datum value, bool isnull)
{
	RangeNode  *node = comparison->node;

	node->nvalues = 0;
	if (isnull)
		return;
	if (comparison->is_array)
	{
		set_array_values(comparison, value);
		return;
	}
	node->values = palloc(sizeof(int64));
	node->values[0] = to_position(comparison->type, value);
	node->nvalues = 1;
}

void
pushdown_evaluate(Pushdown *pushdown, ExprContext *context)
{
	ListCell   *cell;

	foreach(cell, pushdown->comparisons)
	{
		Comparison *comparison = lfirst(cell);
		bool		isnull;
		Datum		value = ExecEvalExpr(comparison->state, context, &isnull);

		set_values(comparison, value, isnull);
	}
}

bool
pushdown_evaluate_constants(Pushdown *pushdown)
{
	ListCell   *cell;

	foreach(cell, pushdown->comparisons)
		if (!IsA(((Comparison *) lfirst(cell))->value, Const))
			return false;
	foreach(cell, pushdown->comparisons)
	{
		Comparison *comparison = lfirst(cell);
		Const	   *constant = (Const *) comparison->value;

		set_values(comparison, constant->constvalue, constant->constisnull);
	}
	return true;
}
