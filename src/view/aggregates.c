/*
 * aggregates.c
 *		Aggregate function -> fold kind, state columns, final expression.
 *
 * Three tables say it all: known[] names the aggregates of pg_catalog that are kept
 * in native columns, kinds[] gives the columns of each kind, finals[] builds the
 * result from them.  Any other aggregate keeps its own transition state, as it is
 * (FOLD_PLAIN) or serialized (FOLD_SERIAL), and is finished by deltaflow.finalize.
 *
 * A final expression gives the very digits of the plain aggregate for exact types:
 * avg is numeric division of the same sum by the same count, and the variance family
 * runs the server's own final function (finals.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_agg.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "view/aggregates.h"
#include "view/finals.h"
#include "view/rules.h"

#define ANY_TYPE InvalidOid

/* Aggregates of pg_catalog with a kind of their own, by name and argument type. */
static const struct
{
	const char *name;
	Oid			argument;
	FoldKind	kind;
}			known[] =
{
	{"count", ANY_TYPE, FOLD_COUNT},
	{"sum", INT2OID, FOLD_SUM_INT},
	{"sum", INT4OID, FOLD_SUM_INT},
	{"sum", INT8OID, FOLD_SUM_INT8},
	{"sum", NUMERICOID, FOLD_SUM_NUMERIC},
	{"sum", FLOAT4OID, FOLD_SUM_FLOAT},
	{"sum", FLOAT8OID, FOLD_SUM_FLOAT},
	{"avg", INT2OID, FOLD_AVG_INT},
	{"avg", INT4OID, FOLD_AVG_INT},
	{"avg", INT8OID, FOLD_AVG_INT8},
	{"avg", NUMERICOID, FOLD_AVG_NUMERIC},
	{"avg", FLOAT4OID, FOLD_AVG_FLOAT},
	{"avg", FLOAT8OID, FOLD_AVG_FLOAT},
	{"min", ANY_TYPE, FOLD_MIN},
	{"max", ANY_TYPE, FOLD_MAX},
};

/* The variance family: aggregate -> our final function, over exact and float types alike. */
static const struct
{
	const char *name;
	const char *final;
}			variances[] =
{
	{"variance", "final_var_samp"},
	{"var_samp", "final_var_samp"},
	{"var_pop", "final_var_pop"},
	{"stddev", "final_stddev_samp"},
	{"stddev_samp", "final_stddev_samp"},
	{"stddev_pop", "final_stddev_pop"},
};

/* State columns of each kind; types that depend on the aggregate are InvalidOid. */
typedef struct KindColumn
{
	const char *suffix;
	Oid			type;
	const char *initial;		/* of a group without rows; NULL: null */
} KindColumn;

static const struct
{
	int			ncolumns;
	KindColumn	columns[3];
	const char *story;
}			kinds[] =
{
	[FOLD_COUNT] = {1, {{"", INT8OID, "0"}}, "additive counter"},
	[FOLD_SUM_INT] = {1, {{"", INT8OID}}, "additive sum, overflow checked"},
	[FOLD_SUM_INT8] = {1, {{"", NUMERICOID}}, "additive sum"},
	[FOLD_SUM_NUMERIC] = {1, {{"", NUMERICOID}}, "additive sum"},
	[FOLD_SUM_FLOAT] = {1, {{"", FLOAT8ARRAYOID}}, "exact sum as non-overlapping floats, independent of order"},
	[FOLD_AVG_INT] = {2, {{"_n", INT8OID, "0"}, {"_sum", INT8OID}}, "additive count and sum"},
	[FOLD_AVG_INT8] = {2, {{"_n", INT8OID, "0"}, {"_sum", NUMERICOID}}, "additive count and sum"},
	[FOLD_AVG_NUMERIC] = {2, {{"_n", INT8OID, "0"}, {"_sum", NUMERICOID}}, "additive count and sum"},
	[FOLD_AVG_FLOAT] = {2, {{"_n", INT8OID, "0"}, {"_sum", FLOAT8ARRAYOID}}, "additive count and exact sum, independent of order"},
	[FOLD_VAR_EXACT] = {3, {{"_n", INT8OID, "0"}, {"_sum", NUMERICOID}, {"_sumsq", NUMERICOID}}, "additive count, sum and sum of squares"},
	[FOLD_VAR_FLOAT] = {3, {{"_n", INT8OID, "0"}, {"_sum", FLOAT8ARRAYOID}, {"_sumsq", FLOAT8ARRAYOID}}, "additive count, exact sum and exact sum of squares, independent of order"},
	[FOLD_MIN] = {1, {{"", InvalidOid}}, "least value"},
	[FOLD_MAX] = {1, {{"", InvalidOid}}, "greatest value"},
	[FOLD_PLAIN] = {1, {{"", InvalidOid}}, "transition state, merged by the aggregate's combine function"},
	[FOLD_SERIAL] = {1, {{"", BYTEAOID}}, "serialized transition state, merged by the aggregate's combine function"},
};

static const char *
variance_final(const Aggref *aggref)
{
	char	   *name = get_func_name(aggref->aggfnoid);

	for (int i = 0; i < lengthof(variances); i++)
		if (strcmp(name, variances[i].name) == 0)
			return variances[i].final;
	return NULL;
}

/* Kind by the tables above; false when the aggregate keeps its own state. */
static bool
known_kind(const Aggref *aggref, FoldKind *kind)
{
	Oid			argument = aggref->aggargtypes == NIL ? InvalidOid : linitial_oid(aggref->aggargtypes);
	char	   *name;

	if (aggref->aggfnoid >= FirstNormalObjectId)
		return false;

	name = get_func_name(aggref->aggfnoid);
	for (int i = 0; i < lengthof(known); i++)
	{
		if (strcmp(name, known[i].name) == 0 &&
			(known[i].argument == ANY_TYPE || known[i].argument == argument))
		{
			*kind = known[i].kind;
			return true;
		}
	}
	if (variance_final(aggref) != NULL)
	{
		*kind = argument == FLOAT4OID || argument == FLOAT8OID ? FOLD_VAR_FLOAT : FOLD_VAR_EXACT;
		return true;
	}
	return false;
}

/* An aggregate that keeps its own transition state: its type and initial value. */
static ViewRefusal *
plan_own_state(Aggref *aggref, FoldAggregate *fold)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	Form_pg_aggregate form;
	Oid			input_types[FUNC_MAX_ARGS];
	int			ninputs = get_aggregate_argtypes(aggref, input_types);
	Datum		initial;
	bool		isnull;
	Oid			type;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	type = resolve_aggregate_transtype(aggref->aggfnoid, form->aggtranstype, input_types, ninputs);
	initial = SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval, &isnull);

	fold->kind = type == INTERNALOID ? FOLD_SERIAL : FOLD_PLAIN;
	fold->state[0].type = type == INTERNALOID ? BYTEAOID : type;
	fold->state[0].initial = isnull || type == INTERNALOID ? NULL : TextDatumGetCString(initial);
	ReleaseSysCache(tuple);

	if (type != INTERNALOID && get_typtype(type) == TYPTYPE_PSEUDO)
		return refuse(aggref->location, psprintf("aggregate function %s cannot be kept by a continuous view", get_func_name(aggref->aggfnoid)),
					  psprintf("No column of a table can have the type of its state, %s.", format_type_be(type)),
					  "Aggregate the parts of the value instead.");
	return NULL;
}

ViewRefusal *
aggregate_plan(Aggref *aggref, FoldAggregate *fold)
{
	fold->aggref = aggref;
	fold->state = palloc0(3 * sizeof(StateColumn));

	if (known_kind(aggref, &fold->kind))
	{
		for (int i = 0; i < kinds[fold->kind].ncolumns; i++)
		{
			const KindColumn *column = &kinds[fold->kind].columns[i];

			fold->state[i].type = OidIsValid(column->type) ? column->type : aggref->aggtype;
			fold->state[i].initial = unconstify(char *, column->initial);
		}
	}
	else
	{
		ViewRefusal *refusal = plan_own_state(aggref, fold);

		if (refusal != NULL)
			return refusal;
	}

	fold->nstate = kinds[fold->kind].ncolumns;
	for (int i = 0; i < fold->nstate; i++)
	{
		StateColumn *column = &fold->state[i];

		column->typmod = -1;
		if (!type_is_collatable(column->type))
			column->collation = InvalidOid;
		else
			column->collation = OidIsValid(aggref->aggcollid) ? aggref->aggcollid : get_typcollation(column->type);
	}
	if (get_typtype(fold->state[0].type) == TYPTYPE_PSEUDO)
		return refuse(aggref->location, psprintf("aggregate function %s over type %s cannot be kept by a continuous view",
												 get_func_name(aggref->aggfnoid), format_type_be(fold->state[0].type)),
					  "No column of a table can have this type.", "Aggregate the parts of the value instead.");
	return NULL;
}

const char *
aggregate_state_suffix(const FoldAggregate *fold, int i)
{
	return kinds[fold->kind].columns[i].suffix;
}

const char *
aggregate_story(const FoldAggregate *fold)
{
	return kinds[fold->kind].story;
}

/* ---- final expressions ---- */

static Expr *
state_var(const FoldAggregate *fold, int i)
{
	const StateColumn *column = &fold->state[i];

	return (Expr *) makeVar(1, column->attnum, column->type, column->typmod, column->collation, 0);
}

static Expr *
cast_by(Oid function, Oid result, Expr *arg)
{
	return (Expr *) makeFuncExpr(function, result, list_make1(arg), InvalidOid, InvalidOid, COERCE_EXPLICIT_CAST);
}

/* An operator of pg_catalog over two operands of one type. */
static Oid
operator_of(const char *name, Oid type)
{
	Oid			oper = OpernameGetOprid(list_make2(makeString("pg_catalog"), makeString(pstrdup(name))), type, type);

	if (!OidIsValid(oper))
		elog(ERROR, "could not find operator %s of type %u", name, type);
	return oper;
}

static Expr *
divide(Oid type, Expr *left, Expr *right)
{
	Oid			oper = operator_of("/", type);
	OpExpr	   *expr = (OpExpr *) make_opclause(oper, type, false, left, right, InvalidOid, InvalidOid);

	expr->opfuncid = get_opcode(oper);
	return (Expr *) expr;
}

/* The count, NULL when it is zero: what an average divides by. */
static Expr *
nonzero_count(const FoldAggregate *fold)
{
	NullIfExpr *expr = makeNode(NullIfExpr);

	expr->opno = operator_of("=", INT8OID);
	expr->opfuncid = get_opcode(expr->opno);
	expr->opresulttype = INT8OID;
	expr->args = list_make2(state_var(fold, 0),
							makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, FLOAT8PASSBYVAL));
	expr->location = -1;
	return (Expr *) expr;
}

/* The first float of an exact sum: the sum, correctly rounded. */
static Expr *
rounded_sum(const FoldAggregate *fold, int i)
{
	SubscriptingRef *ref = makeNode(SubscriptingRef);

	ref->refcontainertype = FLOAT8ARRAYOID;
	ref->refelemtype = FLOAT8OID;
	ref->refrestype = FLOAT8OID;
	ref->reftypmod = -1;
	ref->refupperindexpr = list_make1(makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(1), false, true));
	ref->refexpr = state_var(fold, i);
	return (Expr *) ref;
}

static Expr *
final_as_is(const FoldAggregate *fold)
{
	return state_var(fold, 0);
}

static Expr *
final_sum_float(const FoldAggregate *fold)
{
	Expr	   *sum = rounded_sum(fold, 0);

	return fold->aggref->aggtype == FLOAT4OID ? cast_by(F_FLOAT4_FLOAT8, FLOAT4OID, sum) : sum;
}

static Expr *
final_avg_exact(const FoldAggregate *fold)
{
	Expr	   *sum = state_var(fold, 1);

	if (fold->state[1].type == INT8OID)
		sum = cast_by(F_NUMERIC_INT8, NUMERICOID, sum);
	return divide(NUMERICOID, sum, cast_by(F_NUMERIC_INT8, NUMERICOID, nonzero_count(fold)));
}

static Expr *
final_avg_float(const FoldAggregate *fold)
{
	return divide(FLOAT8OID, rounded_sum(fold, 1), cast_by(F_FLOAT8_INT8, FLOAT8OID, nonzero_count(fold)));
}

/* One of deltaflow's own final functions. */
static Oid
final_function(const char *name, int nargs, const Oid *types)
{
	return LookupFuncName(list_make2(makeString("deltaflow"), makeString(pstrdup(name))), nargs, types, false);
}

static Expr *
final_variance(const FoldAggregate *fold)
{
	Oid			types[3] = {INT8OID, fold->state[1].type, fold->state[2].type};

	return (Expr *) makeFuncExpr(final_function(variance_final(fold->aggref), 3, types), fold->aggref->aggtype,
								 list_make3(state_var(fold, 0), state_var(fold, 1), state_var(fold, 2)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

static bool
has_final_function(Oid aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	bool		result = OidIsValid(((Form_pg_aggregate) GETSTRUCT(tuple))->aggfinalfn);

	ReleaseSysCache(tuple);
	return result;
}

/* deltaflow.finalize(aggregate, state, null of the result's type [, nulls of the inputs' types]) */
static Expr *
final_own_state(const FoldAggregate *fold)
{
	const Aggref *aggref = fold->aggref;
	bool		inputs = aggregate_final_wants_inputs(aggref->aggfnoid);
	Oid			types[4] = {REGPROCEDUREOID, ANYOID, ANYELEMENTOID, ANYOID};
	FuncExpr   *call;
	ListCell   *lc;

	if (fold->kind == FOLD_PLAIN && !has_final_function(aggref->aggfnoid))
		return state_var(fold, 0);

	call = makeFuncExpr(final_function("finalize", inputs ? 4 : 3, types), aggref->aggtype,
						list_make3(makeConst(REGPROCEDUREOID, -1, InvalidOid, sizeof(Oid),
											 ObjectIdGetDatum(aggref->aggfnoid), false, true),
								   state_var(fold, 0),
								   makeNullConst(aggref->aggtype, -1, aggref->aggcollid)),
						aggref->aggcollid, aggref->inputcollid, COERCE_EXPLICIT_CALL);
	if (inputs)
		foreach(lc, aggref->aggargtypes)
			call->args = lappend(call->args, makeNullConst(lfirst_oid(lc), -1, get_typcollation(lfirst_oid(lc))));
	return (Expr *) call;
}

static Expr *(*const finals[]) (const FoldAggregate *fold) =
{
	[FOLD_COUNT] = final_as_is,
	[FOLD_SUM_INT] = final_as_is,
	[FOLD_SUM_INT8] = final_as_is,
	[FOLD_SUM_NUMERIC] = final_as_is,
	[FOLD_SUM_FLOAT] = final_sum_float,
	[FOLD_AVG_INT] = final_avg_exact,
	[FOLD_AVG_INT8] = final_avg_exact,
	[FOLD_AVG_NUMERIC] = final_avg_exact,
	[FOLD_AVG_FLOAT] = final_avg_float,
	[FOLD_VAR_EXACT] = final_variance,
	[FOLD_VAR_FLOAT] = final_variance,
	[FOLD_MIN] = final_as_is,
	[FOLD_MAX] = final_as_is,
	[FOLD_PLAIN] = final_own_state,
	[FOLD_SERIAL] = final_own_state,
};

Expr *
aggregate_final(const FoldAggregate *fold)
{
	return finals[fold->kind] (fold);
}
