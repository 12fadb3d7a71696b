/*
 * finals.c
 *		The last step of aggregates whose result is more than an expression.
 *
 * Variance of exact types: the state (n, sum, sum of squares) is put into the form in
 * which numeric's own aggregate serializes its state, and the server's deserial and
 * final functions do the rest.  So the digits are the plain aggregate's, including
 * the scale that its division and square root choose.
 *
 * Variance of floats: n * sumsq - sum * sum is computed exactly from the exact sums
 * and rounded once; what the plain aggregate computes depends on the order of rows and
 * differs from this by its own rounding.
 *
 * Any other aggregate: deserial and final function are called as an Agg node would.
 * They insist on such a node as their context (AggCheckCallContext), for the memory
 * that it owns; aggregate_call_context() makes one that has nothing but memory.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "parser/parse_agg.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "compat.h"
#include "view/finals.h"

AggState *
aggregate_call_context(ExprContext **context)
{
	AggState   *state = makeNode(AggState);

	*context = CreateStandaloneExprContext();
	state->curaggcontext = *context;
	state->tmpcontext = *context;
	return state;
}

/* ---- variance of exact types ---- */

/* A numeric in the form of numeric's serialized aggregate state: the wire form with wider header fields. */
static void
append_numeric(StringInfo state, Numeric value)
{
	bytea	   *wire = DatumGetByteaPP(DirectFunctionCall1(numeric_send, NumericGetDatum(value)));
	StringInfoData in;
	int			ndigits;

	initStringInfo(&in);
	appendBinaryStringInfo(&in, VARDATA_ANY(wire), VARSIZE_ANY_EXHDR(wire));

	ndigits = (uint16) pq_getmsgint(&in, 2);
	pq_sendint32(state, ndigits);
	pq_sendint32(state, (int16) pq_getmsgint(&in, 2));	/* weight */
	pq_sendint32(state, (uint16) pq_getmsgint(&in, 2)); /* sign */
	pq_sendint32(state, (uint16) pq_getmsgint(&in, 2)); /* display scale */
	for (int i = 0; i < ndigits; i++)
		pq_sendint16(state, pq_getmsgint(&in, 2));
}

/* (n, sum, sumsq) as numeric_serialize() would write it. */
static bytea *
serialized_state(int64 n, Numeric sum, Numeric sumsq)
{
	StringInfoData state;

	pq_begintypsend(&state);
	pq_sendint64(&state, n);
	append_numeric(&state, sum);
	append_numeric(&state, sumsq);
	pq_sendint32(&state, 0);	/* scale of the inputs, only for moving aggregates */
	pq_sendint64(&state, 0);	/* and how many have it */
	pq_sendint64(&state, 0);	/* NaN, +Infinity, -Infinity: none */
	pq_sendint64(&state, 0);
	pq_sendint64(&state, 0);
	return pq_endtypsend(&state);
}

static PGFunction
variance_function(Variance kind)
{
	if (kind.root)
		return kind.sample ? numeric_stddev_samp : numeric_stddev_pop;
	return kind.sample ? numeric_var_samp : numeric_var_pop;
}

/* Null for no row, or for a sample of one. */
static bool
variance_is_null(Variance kind, int64 n)
{
	return n <= 0 || (kind.sample && n == 1);
}

bool
final_variance_numeric(Variance kind, int64 n, Numeric sum, Numeric sumsq, Datum *result)
{
	LOCAL_FCINFO(fcinfo, 2);
	ExprContext *context;
	Datum		state;

	if (variance_is_null(kind, n))
		return false;
	if (numeric_is_nan(sum) || numeric_is_inf(sum))
	{
		*result = DirectFunctionCall3(numeric_in, CStringGetDatum("NaN"), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		return true;
	}

	InitFunctionCallInfoData(*fcinfo, NULL, 2, InvalidOid, (Node *) aggregate_call_context(&context), NULL);
	fcinfo->args[0].value = PointerGetDatum(serialized_state(n, sum, sumsq));
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = (Datum) 0;
	fcinfo->args[1].isnull = false;
	state = numeric_deserialize(fcinfo);

	fcinfo->args[0].value = state;
	fcinfo->nargs = 1;
	*result = variance_function(kind) (fcinfo);
	FreeExprContext(context, true);
	return !fcinfo->isnull;
}

/* ---- variance of floats ---- */

/* A sum of floats without rounding: components that do not overlap, least first. */
typedef struct ExactSum
{
	int			n;
	int			capacity;
	float8	   *component;
} ExactSum;

/* Adds one float (Shewchuk's grow-expansion, zeros dropped). */
static void
exact_add(ExactSum *sum, float8 value)
{
	int			kept = 0;

	for (int i = 0; i < sum->n; i++)
	{
		float8		other = sum->component[i];
		float8		total = value + other;
		float8		part = total - value;
		float8		rest = (value - (total - part)) + (other - part);

		if (rest != 0)
			sum->component[kept++] = rest;
		value = total;
	}
	if (kept == sum->capacity)
	{
		sum->capacity *= 2;
		sum->component = repalloc(sum->component, sum->capacity * sizeof(float8));
	}
	sum->component[kept++] = value;
	sum->n = kept;
}

static void
exact_add_product(ExactSum *sum, float8 a, float8 b)
{
	float8		product = a * b;

	exact_add(sum, fma(a, b, -product));
	exact_add(sum, product);
}

static float8
exact_value(const ExactSum *sum)
{
	float8		value = 0;

	for (int i = 0; i < sum->n; i++)
		value += sum->component[i];
	return value;
}

/* The floats of a state column. */
static float8 *
float_elements(ArrayType *array, int *n)
{
	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] < 1 || ARR_HASNULL(array) || ARR_ELEMTYPE(array) != FLOAT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("state of a float aggregate is not a one-dimensional array of float8 without nulls")));
	*n = ARR_DIMS(array)[0];
	return (float8 *) ARR_DATA_PTR(array);
}

/*
 * True for a NaN or infinite input.  ERROR, as from the plain aggregate, for finite
 * inputs whose sum no float holds: their state has more than one element.
 */
static bool
has_special(const float8 *form, int n)
{
	if (!isinf(form[0]) && !isnan(form[0]))
		return false;
	if (n > 1)
		float_overflow_error();
	return true;
}

/* n * sumsq - sum * sum exactly, rounded once. */
static float8
variance_numerator(int64 n, const float8 *sum, int nsum, const float8 *sumsq, int nsumsq)
{
	ExactSum	total = {0, 64, palloc(64 * sizeof(float8))};

	for (int i = 0; i < nsum; i++)
	{
		CHECK_FOR_INTERRUPTS(); /* anybody may call this with arrays longer than ours */
		for (int j = 0; j < nsum; j++)
			exact_add_product(&total, -sum[i], sum[j]);
	}
	for (int i = 0; i < nsumsq; i++)
		exact_add_product(&total, (float8) n, sumsq[i]);
	return Max(exact_value(&total), 0);
}

/* Multiplies by a power of two, which changes no digit. */
static float8 *
scaled(const float8 *form, int n, int exponent)
{
	float8	   *result = palloc(n * sizeof(float8));

	for (int i = 0; i < n; i++)
		result[i] = ldexp(form[i], exponent);
	return result;
}

bool
final_variance_float(Variance kind, int64 n, ArrayType *sum_array, ArrayType *sumsq_array, float8 *result)
{
	int			nsum,
				nsumsq;
	float8	   *sum = float_elements(sum_array, &nsum);
	float8	   *sumsq = float_elements(sumsq_array, &nsumsq);
	int			scale;

	if (variance_is_null(kind, n))
		return false;
	if (has_special(sum, nsum) || has_special(sumsq, nsumsq))
	{
		*result = get_float8_nan();
		return true;
	}

	/* n * sumsq must not overflow: at most 2^64 * 2^1024 */
	scale = sumsq[0] > 0x1p900 ? 150 : 0;
	*result = variance_numerator(n, scaled(sum, nsum, -scale), nsum, scaled(sumsq, nsumsq, -2 * scale), nsumsq);
	*result = ldexp(*result / ((float8) n * (float8) (kind.sample ? n - 1 : n)), 2 * scale);
	if (kind.root)
		*result = sqrt(*result);
	return true;
}

/* ---- any aggregate ---- */

struct Finisher
{
	bool		serialized;		/* the state is the aggregate's internal one, as bytea */
	FmgrInfo	deserial;
	bool		has_final;
	FmgrInfo	final;
	int			final_nargs;
	Oid			state_type;
	int16		state_len;
	bool		state_byval;
	int16		result_len;
	bool		result_byval;
	AggState   *agg_state;
	ExprContext *context;
};

/* Types that only the arguments of a call make definite. */
static bool
is_generic(Oid type)
{
	return IsPolymorphicType(type) || type == ANYOID;
}

bool
aggregate_final_wants_inputs(Oid aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	bool		wants = HeapTupleIsValid(tuple) && ((Form_pg_aggregate) GETSTRUCT(tuple))->aggfinalextra;
	Oid		   *declared;
	int			ndeclared;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (!wants)
		return false;
	(void) get_func_signature(aggregate, &declared, &ndeclared);
	for (int i = 0; i < ndeclared; i++)
		if (is_generic(declared[i]))
			return true;
	return false;
}

/*
 * Deserial functions of the server's own aggregates are made for what parallel workers
 * write, and trust it.  Views keep such a state of those over intervals only, whose
 * function has nothing to trust: of the others there is none that did not come from
 * somebody else.
 */
static bool
is_serialized_by_views(Oid aggregate)
{
	Oid		   *declared;
	int			ndeclared;

	if (aggregate >= FirstNormalObjectId)
		return true;
	(void) get_func_signature(aggregate, &declared, &ndeclared);
	return ndeclared == 1 && declared[0] == INTERVALOID;
}

bool
aggregate_takes_state(Form_pg_aggregate form, Oid state_type)
{
	Oid			declared = form->aggtranstype;

	if (form->aggkind != AGGKIND_NORMAL || state_type == UNKNOWNOID)
		return false;
	if (declared == INTERNALOID)
		return state_type == BYTEAOID && OidIsValid(form->aggdeserialfn) && is_serialized_by_views(form->aggfnoid);
	if (IsPolymorphicType(declared))
		return check_generic_type_consistency(&state_type, &declared, 1);
	return state_type == declared;
}

/* Whether the aggregate's last step makes this type of the state and, where it looks at them, the inputs. */
static bool
gives_result(Form_pg_aggregate form, Oid state_type, Oid result_type, const Oid *input_types, int ninputs)
{
	Oid			actual[FUNC_MAX_ARGS + 1];
	Oid		   *declared;
	int			ndeclared;
	Oid			result;

	if (!OidIsValid(form->aggfinalfn))
		return form->aggtranstype != INTERNALOID && result_type == state_type;
	if (aggregate_final_wants_inputs(form->aggfnoid) && ninputs == 0)
		return false;
	actual[0] = form->aggtranstype == INTERNALOID ? INTERNALOID : state_type;
	memcpy(&actual[1], input_types, ninputs * sizeof(Oid));
	result = get_func_signature(form->aggfinalfn, &declared, &ndeclared);
	if (IsPolymorphicType(result))
		result = enforce_generic_type_consistency(actual, declared, Min(ninputs + 1, ndeclared), result, false);
	return result_type == result;
}

/* The aggregate must take this state, give this result, and be the caller's to use. */
static void
check_finisher(Oid aggregate, Form_pg_aggregate form, Oid state_type, Oid result_type, const Oid *input_types, int ninputs)
{
	AclResult	allowed = function_aclcheck(aggregate, GetUserId(), ACL_EXECUTE);

	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_AGGREGATE, get_func_name(aggregate));
	if (!aggregate_takes_state(form, state_type) || !gives_result(form, state_type, result_type, input_types, ninputs))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("cannot finish aggregate %s from a state of type %s to a result of type %s",
						get_func_name(aggregate), format_type_be(state_type), format_type_be(result_type))));
}

/* Looks up the final function as the executor would for an Agg node. */
static void
prepare_final(Finisher *finisher, Form_pg_aggregate form, Oid result_type, const Oid *input_types, int ninputs)
{
	Expr	   *expr;

	finisher->has_final = OidIsValid(form->aggfinalfn);
	if (!finisher->has_final)
		return;

	finisher->final_nargs = form->aggfinalextra ? ninputs + 1 : 1;
	build_aggregate_finalfn_expr(unconstify(Oid *, input_types), finisher->final_nargs, finisher->state_type, result_type,
								 InvalidOid, form->aggfinalfn, &expr);
	fmgr_info(form->aggfinalfn, &finisher->final);
	fmgr_info_set_expr((Node *) expr, &finisher->final);
}

Finisher *
finisher_create(Oid aggregate, Oid state_type, Oid result_type, const Oid *input_types, int ninputs)
{
	Finisher   *finisher = palloc0(sizeof(Finisher));
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Form_pg_aggregate form;
	Oid		   *declared;
	int			ndeclared;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not an aggregate function", format_procedure(aggregate))));
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	if (!aggregate_final_wants_inputs(aggregate))
	{
		(void) get_func_signature(aggregate, &declared, &ndeclared);
		input_types = declared;
		ninputs = ndeclared;
	}
	check_finisher(aggregate, form, state_type, result_type, input_types, ninputs);

	finisher->serialized = form->aggtranstype == INTERNALOID;
	finisher->state_type = finisher->serialized ? INTERNALOID : state_type;
	if (finisher->serialized)
		fmgr_info(form->aggdeserialfn, &finisher->deserial);
	prepare_final(finisher, form, result_type, input_types, ninputs);
	ReleaseSysCache(tuple);

	get_typlenbyval(state_type, &finisher->state_len, &finisher->state_byval);
	get_typlenbyval(result_type, &finisher->result_len, &finisher->result_byval);
	finisher->agg_state = aggregate_call_context(&finisher->context);
	return finisher;
}

/* The state as the final function wants it, in the finisher's memory. */
static Datum
state_for_final(Finisher *finisher, Oid collation, Datum state)
{
	LOCAL_FCINFO(fcinfo, 2);
	MemoryContext before = MemoryContextSwitchTo(finisher->context->ecxt_per_tuple_memory);
	Datum		result;

	if (!finisher->serialized)
		result = datumCopy(state, finisher->state_byval, finisher->state_len);
	else
	{
		InitFunctionCallInfoData(*fcinfo, &finisher->deserial, 2, collation, (Node *) finisher->agg_state, NULL);
		/* some deserial functions read the header without looking at its kind */
		fcinfo->args[0].value = PointerGetDatum(PG_DETOAST_DATUM(state));
		fcinfo->args[0].isnull = false;
		fcinfo->args[1].value = (Datum) 0;
		fcinfo->args[1].isnull = false;
		result = FunctionCallInvoke(fcinfo);
	}
	MemoryContextSwitchTo(before);
	return result;
}

/* The result, in the caller's memory. */
Datum
finisher_call(Finisher *finisher, Oid collation, Datum state, bool state_isnull, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	Datum		result;

	ResetExprContext(finisher->context);
	if (!state_isnull)
		state = state_for_final(finisher, collation, state);
	*isnull = state_isnull;
	result = state;

	if (finisher->has_final)
	{
		if (finisher->final.fn_strict && (state_isnull || finisher->final_nargs > 1))
		{
			*isnull = true;
			return (Datum) 0;
		}
		InitFunctionCallInfoData(*fcinfo, &finisher->final, finisher->final_nargs, collation,
								 (Node *) finisher->agg_state, NULL);
		for (int i = 0; i < finisher->final_nargs; i++)
		{
			fcinfo->args[i].value = i == 0 ? state : (Datum) 0;
			fcinfo->args[i].isnull = i == 0 ? state_isnull : true;
		}
		result = FunctionCallInvoke(fcinfo);
		*isnull = fcinfo->isnull;
	}
	if (*isnull)
		return (Datum) 0;
	return datumCopy(result, finisher->result_byval, finisher->result_len);
}
