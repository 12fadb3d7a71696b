/*
 * merge.c
 *		States of several groups into one, when a view is read.
 *
 * In come columns of state tables, out goes such a column again, which the live view
 * finishes as it would a stored one.  Counts, integer sums, numeric sums and extremes
 * need nothing of this: the server's own aggregates merge them.
 *
 *		float8[]	exact sums, so neither order nor number of panes shows
 *		any other	combinefn(state, deserialfn(stored)), at last serialfn(state)
 *
 * Functions are called with the AggState that our own aggregate runs in as their
 * context, so that what they allocate lives as long as the group.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "compat.h"
#include "maintain/merge.h"
#include "view/finals.h"

/* ---- exact sums of floats ---- */

void
float_array_add(FloatSum *sum, Datum value, MemoryContext context)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	int			done = 0;

	if (ARR_NDIM(array) != 1 || ARR_HASNULL(array) || ARR_ELEMTYPE(array) != FLOAT8OID ||
		n > FLOAT_SUM_CANONICAL_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored sum of floats is malformed"),
				 errhint("Recompute the view.")));
	while (!float_sum_add_canonical(sum, (const double *) ARR_DATA_PTR(array), n, &done))
		float_sum_widen(sum, MemoryContextAlloc(context, sizeof(WideSum)));
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
}

ArrayType *
float_array_of(const FloatSum *sum)
{
	double		form[FLOAT_SUM_CANONICAL_MAX];
	int			n = float_sum_canonical(sum, form);
	Size		size = ARR_OVERHEAD_NONULLS(1) + n * sizeof(double);
	ArrayType  *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->elemtype = FLOAT8OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), form, n * sizeof(double));
	return array;
}

/* ---- states of any aggregate ---- */

struct StateMerger
{
	Oid			aggregate;
	bool		serialized;		/* the state is the aggregate's internal one, stored as bytea */
	int16		length;			/* of the state's type */
	bool		by_value;
	FmgrInfo	combine;
	FmgrInfo	serial;
	FmgrInfo	deserial;
};

/* The aggregate must take this state, and be the caller's to use. */
static void
check_aggregate(Oid aggregate, Form_pg_aggregate form, Oid state_type)
{
	AclResult	allowed = function_aclcheck(aggregate, GetUserId(), ACL_EXECUTE);

	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_AGGREGATE, get_func_name(aggregate));
	if (!aggregate_takes_state(form, state_type) || !OidIsValid(form->aggcombinefn) ||
		(form->aggtranstype == INTERNALOID && !OidIsValid(form->aggserialfn)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("cannot merge states of type %s of aggregate %s",
						format_type_be(state_type), format_procedure(aggregate))));
}

/* Looks a support function up; polymorphic ones find their types in the call. */
static void
look_up(FmgrInfo *info, Oid function, Oid result, Oid argument, int nargs)
{
	List	   *args = NIL;

	fmgr_info(function, info);
	for (int i = 0; i < nargs; i++)
		args = lappend(args, makeNullConst(argument, -1, InvalidOid));
	fmgr_info_set_expr((Node *) makeFuncExpr(function, result, args, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   info);
}

StateMerger *
state_merger_create(Oid aggregate, Oid state_type)
{
	StateMerger *merger = palloc0(sizeof(StateMerger));
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Form_pg_aggregate form;
	Oid			type;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not an aggregate function", format_procedure(aggregate))));
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	check_aggregate(aggregate, form, state_type);

	merger->aggregate = aggregate;
	merger->serialized = form->aggtranstype == INTERNALOID;
	type = merger->serialized ? INTERNALOID : state_type;
	get_typlenbyval(type, &merger->length, &merger->by_value);
	look_up(&merger->combine, form->aggcombinefn, type, type, 2);
	if (merger->serialized)
	{
		look_up(&merger->serial, form->aggserialfn, BYTEAOID, INTERNALOID, 1);
		look_up(&merger->deserial, form->aggdeserialfn, INTERNALOID, BYTEAOID, 1);
	}
	ReleaseSysCache(tuple);
	return merger;
}

Oid
state_merger_aggregate(const StateMerger *merger)
{
	return merger->aggregate;
}

/* Calls a support function; `first_null`: the first argument is NULL. */
static Datum
call(FmgrInfo *function, int nargs, Datum first, bool first_null, Datum second,
	 Oid collation, fmNodePtr agg, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 2);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, function, nargs, collation, agg, NULL);
	fcinfo->args[0].value = first;
	fcinfo->args[0].isnull = first_null;
	fcinfo->args[1].value = second;
	fcinfo->args[1].isnull = false;
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/* The merged state becomes what a combine function returned. */
static void
replace(const StateMerger *merger, MergedState *merged, Datum value, MemoryContext context)
{
	if (!merger->by_value && (!merged->some || DatumGetPointer(value) != DatumGetPointer(merged->value)))
	{
		MemoryContext before = MemoryContextSwitchTo(context);

		value = datumCopy(value, false, merger->length);
		MemoryContextSwitchTo(before);
		if (merged->some)
			pfree(DatumGetPointer(merged->value));
	}
	merged->value = value;
	merged->some = true;
}

void
state_merger_add(StateMerger *merger, MergedState *merged, Datum state,
				 Oid collation, fmNodePtr agg, MemoryContext context)
{
	MemoryContext before;
	bool		isnull;

	/* the first internal state may become the merged one: where it lies depends on the combine function */
	before = MemoryContextSwitchTo(merger->serialized && merger->combine.fn_strict ? context : CurrentMemoryContext);
	if (merger->serialized)
	{
		/* some deserial functions read the header without looking at its kind */
		state = call(&merger->deserial, 2, PointerGetDatum(PG_DETOAST_DATUM(state)), false, (Datum) 0,
					 collation, agg, &isnull);
		if (isnull)
			elog(ERROR, "deserial function %u returned null", merger->deserial.fn_oid);
	}
	if (merged->some || (merger->serialized && !merger->combine.fn_strict))
	{
		state = call(&merger->combine, 2, merged->value, !merged->some, state, collation, agg, &isnull);
		if (isnull)
			elog(ERROR, "combine function %u returned null", merger->combine.fn_oid);
	}
	MemoryContextSwitchTo(before);
	replace(merger, merged, state, context);
}

Datum
state_merger_result(StateMerger *merger, const MergedState *merged, Oid collation, fmNodePtr agg)
{
	Datum		result;
	bool		isnull;

	if (!merger->serialized)
		return merged->value;
	result = call(&merger->serial, 1, merged->value, false, (Datum) 0, collation, agg, &isnull);
	if (isnull)
		elog(ERROR, "serial function %u returned null", merger->serial.fn_oid);
	return result;
}
