/*
 * fold_transition.c
 *		Any other aggregate, by its own transition, combine and serial functions.
 *
 *	step:		state = transfn(state, arguments)		strictness and first input as nodeAgg.c has them
 *	combine:	fresh group: state = deserialfn(stored), or a copy of it
 *				else: state = combinefn(stored, state)
 *	store:		serialfn(state), or the state itself
 *
 * Functions are called as an Agg node would: they find an AggState behind
 * AggCheckCallContext, whose memory is that of the view's groups.
 *
 * What combining two states does to the result is the aggregate's own affair: a
 * float average's last digit or a sketch's shape may depend on where the rows were
 * cut.  So a group's stored state is loaded before any row is stepped into it
 * (in_order), and the stored state is a function of the rows' order alone.  Only
 * built-in aggregates over exact by-value states (bit_and, bool_or, ...) are combined late.
 *
 * Memory: internal states are opaque, what they allocated cannot be freed one by
 * one; the whole cache is dropped instead when it grows too large.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/nodeAgg.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "maintain/aggregate_state.h"
#include "maintain/image.h"

typedef struct Transition
{
	Oid			state_type;
	ImageType	type;
	bool		strict;			/* transfn */
	Datum		initial;
	bool		initial_null;
	AggState   *agg_state;		/* what the functions find */
	ExprContext *scratch;		/* what they return before it is copied */
	FmgrInfo	transfn;
	FmgrInfo	combinefn;
	FmgrInfo	serialfn;
	FmgrInfo	deserialfn;
	FunctionCallInfo call;		/* of transfn */
} Transition;

typedef struct TransitionState
{
	Datum		value;
	bool		isnull;
	bool		none;			/* no input yet, and none stands for the initial value (nodeAgg's noTransValue) */
} TransitionState;

/* A call expression, so that polymorphic functions find their types. */
static void
set_call_types(FmgrInfo *function, Oid result, List *types, Oid collation)
{
	List	   *args = NIL;
	ListCell   *lc;

	foreach(lc, types)
	{
		Param	   *param = makeNode(Param);

		param->paramkind = PARAM_EXEC;
		param->paramid = -1;
		param->paramtype = lfirst_oid(lc);
		param->paramtypmod = -1;
		param->paramcollid = collation;
		param->location = -1;
		args = lappend(args, param);
	}
	fmgr_info_set_expr((Node *) makeFuncExpr(function->fn_oid, result, args, InvalidOid, collation,
											 COERCE_EXPLICIT_CALL),
					   function);
}

/* An AggState with as much in it as aggregate functions may ask for. */
static AggState *
pretend_agg_state(Aggregate *aggregate)
{
	AggState   *state = makeNode(AggState);
	AggStatePerTrans trans = palloc0(sizeof(AggStatePerTransData));
	EState	   *estate = CreateExecutorState();
	ExprContext *memory = CreateExprContext(estate);

	/* what lasts goes to the groups' memory, what does not to the other context */
	memory->ecxt_per_tuple_memory = aggregate->context;
	state->ss.ps.state = estate;
	state->curaggcontext = memory;
	state->tmpcontext = CreateExprContext(estate);
	trans->aggref = aggregate->spec->aggref;
	state->curpertrans = trans;
	return state;
}

/* The initial value of the state. */
static void
set_initial(Transition *transition, HeapTuple tuple)
{
	Datum		literal = SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval,
										  &transition->initial_null);
	Oid			input;
	Oid			param;

	if (transition->initial_null)
		return;
	getTypeInputInfo(transition->state_type, &input, &param);
	transition->initial = OidInputFunctionCall(input, TextDatumGetCString(literal), param, -1);
}

/* Looks up an optional support function. */
static void
set_support(FmgrInfo *info, Oid function, Oid result, Oid first, Oid second, Oid collation)
{
	List	   *types = list_make1_oid(first);

	if (!OidIsValid(function))
		return;
	if (OidIsValid(second))
		types = lappend_oid(types, second);
	fmgr_info(function, info);
	set_call_types(info, result, types, collation);
}

/* Types whose arithmetic rounds, so that combined states may differ in the last digit. */
static bool
is_inexact(Oid type)
{
	Oid			element = get_element_type(type);

	if (OidIsValid(element))
		type = element;
	return type == FLOAT4OID || type == FLOAT8OID;
}

/* Looks the aggregate's functions up. */
static void
transition_prepare(Aggregate *aggregate, Oid state_type)
{
	Transition *transition = palloc0(sizeof(Transition));
	Aggref	   *aggref = aggregate->spec->aggref;
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	Form_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);

	transition->state_type = state_type;
	transition->type = image_type(state_type);
	set_support(&transition->combinefn, form->aggcombinefn, state_type, state_type, state_type,
				aggref->inputcollid);
	set_support(&transition->serialfn, form->aggserialfn, BYTEAOID, state_type, InvalidOid,
				InvalidOid);
	set_support(&transition->deserialfn, form->aggdeserialfn, state_type, BYTEAOID, INTERNALOID,
				InvalidOid);
	set_initial(transition, tuple);

	fmgr_info(form->aggtransfn, &transition->transfn);
	set_call_types(&transition->transfn, state_type,
				   lcons_oid(state_type, list_copy(aggref->aggargtypes)), aggref->inputcollid);
	transition->strict = transition->transfn.fn_strict;

	aggregate->in_order = aggref->aggfnoid >= FirstNormalObjectId || state_type == INTERNALOID ||
		is_inexact(state_type) || !OidIsValid(form->aggcombinefn);
	aggregate->opaque = state_type == INTERNALOID;
	ReleaseSysCache(tuple);

	transition->agg_state = pretend_agg_state(aggregate);
	transition->scratch = transition->agg_state->tmpcontext;
	transition->call = palloc0(SizeForFunctionCallInfo(aggregate->spec->nargs + 1));
	InitFunctionCallInfoData(*transition->call, &transition->transfn, aggregate->spec->nargs + 1,
							 aggref->inputcollid, (fmNodePtr) transition->agg_state, NULL);
	aggregate->private = transition;
}

/* The state has a type of its own, that of its column. */
static void
plain_prepare(Aggregate *aggregate)
{
	transition_prepare(aggregate, aggregate->spec->state[0].type);
}

/* The state is internal; its column holds it serialized. */
static void
serial_prepare(Aggregate *aggregate)
{
	transition_prepare(aggregate, INTERNALOID);
}

/* A value of the state type in the groups' memory. */
static Datum
keep_value(Aggregate *aggregate, Datum value, bool isnull)
{
	Transition *transition = aggregate->private;
	MemoryContext old;

	if (isnull || transition->type.by_value)
		return value;
	old = MemoryContextSwitchTo(aggregate->context);
	value = datumCopy(value, false, transition->type.length);
	MemoryContextSwitchTo(old);
	return value;
}

/* The state before the first row: the initial value, a copy of it for each group. */
static void
transition_init(const Aggregate *aggregate, void *state)
{
	Transition *transition = aggregate->private;
	TransitionState *trans = state;

	trans->isnull = transition->initial_null;
	trans->none = transition->initial_null;
	trans->value = keep_value((Aggregate *) aggregate, transition->initial, trans->isnull);
}

/* The state becomes what a function returned. */
static void
replace_value(Aggregate *aggregate, TransitionState *state, Datum value, bool isnull)
{
	Transition *transition = aggregate->private;

	if (!transition->type.by_value && DatumGetPointer(value) != DatumGetPointer(state->value))
	{
		Datum		old = state->value;
		bool		old_null = state->isnull;

		state->value = keep_value(aggregate, value, isnull);
		if (!old_null)
			pfree(DatumGetPointer(old));
	}
	else
		state->value = value;
	state->isnull = isnull;
	if (isnull)
		state->value = (Datum) 0;
	state->none = false;
}

/* Arguments of row i go to the call; false: a strict function is not to be called. */
static bool
set_arguments(Aggregate *aggregate, FoldChunk *chunk, int i)
{
	Transition *transition = aggregate->private;
	const FoldAggregate *spec = aggregate->spec;

	for (int a = 0; a < spec->nargs; a++)
	{
		int			at = chunk->input[i] + spec->args[a];

		if (transition->strict && chunk->isnull[at])
			return false;
		transition->call->args[a + 1].value = chunk->values[at];
		transition->call->args[a + 1].isnull = chunk->isnull[at];
	}
	return true;
}

/* One row, as advance_transition_function() of nodeAgg.c does it. */
static void
transition_advance(Aggregate *aggregate, TransitionState *state)
{
	Transition *transition = aggregate->private;
	FunctionCallInfo call = transition->call;
	MemoryContext old;
	Datum		value;

	if (transition->strict)
	{
		if (state->none)
		{
			state->value = keep_value(aggregate, call->args[1].value, false);
			state->isnull = false;
			state->none = false;
			return;
		}
		if (state->isnull)
			return;
	}

	old = MemoryContextSwitchTo(transition->scratch->ecxt_per_tuple_memory);
	call->args[0].value = state->value;
	call->args[0].isnull = state->isnull;
	call->isnull = false;
	value = FunctionCallInvoke(call);
	MemoryContextSwitchTo(old);
	replace_value(aggregate, state, value, call->isnull);
}

/* Calls the transition function for each row that counts. */
static void
transition_step(Aggregate *aggregate, FoldChunk *chunk)
{
	Transition *transition = aggregate->private;

	for (int i = 0; i < chunk->nrows; i++)
	{
		chunk->at = i;
		if (row_passes(aggregate, chunk, i) && set_arguments(aggregate, chunk, i))
			transition_advance(aggregate, row_state(aggregate, chunk, i));
	}
	ResetExprContext(transition->scratch);
}

/* Calls a support function with up to two arguments. */
static Datum
call_support(Aggregate *aggregate, FmgrInfo *function, Datum first, bool first_null,
			 Datum second, bool second_null, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, 2);
	Transition *transition = aggregate->private;
	Datum		result;

	*isnull = true;
	if (function->fn_strict && (first_null || (function->fn_nargs > 1 && second_null)))
		return (Datum) 0;

	InitFunctionCallInfoData(*fcinfo, function, function->fn_nargs,
							 aggregate->spec->aggref->inputcollid,
							 (fmNodePtr) transition->agg_state, NULL);
	fcinfo->args[0].value = first;
	fcinfo->args[0].isnull = first_null;
	fcinfo->args[1].value = second;
	fcinfo->args[1].isnull = second_null;
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/*
 * A stored column as a state value.  What a deserial function makes is scratch;
 * combined with nothing it becomes a state in the groups' memory.
 */
static Datum
load_value(Aggregate *aggregate, Datum column, bool *isnull)
{
	Transition *transition = aggregate->private;
	MemoryContext old;
	Datum		value;

	if (transition->state_type != INTERNALOID || *isnull)
		return column;

	old = MemoryContextSwitchTo(transition->scratch->ecxt_per_tuple_memory);
	/* some deserial functions read the header without looking at its kind */
	column = PointerGetDatum(PG_DETOAST_DATUM(column));
	value = call_support(aggregate, &transition->deserialfn, column, false, (Datum) 0, false, isnull);
	value = call_support(aggregate, &transition->combinefn, (Datum) 0, true, value, *isnull, isnull);
	MemoryContextSwitchTo(old);
	return value;
}

/* The stored state comes before what was folded since. */
static void
combine_value(Aggregate *aggregate, TransitionState *state, Datum stored)
{
	Transition *transition = aggregate->private;
	Datum		value;
	bool		isnull;

	if (state->isnull)
	{
		replace_value(aggregate, state, stored, false);
		return;
	}
	value = call_support(aggregate, &transition->combinefn, stored, false,
						 state->value, false, &isnull);
	replace_value(aggregate, state, value, isnull);
}

/* The stored state comes before what was folded since: see the top. */
static void
transition_combine(Aggregate *aggregate, void *state, const Datum *values, const bool *isnull)
{
	TransitionState *trans = state;
	bool		stored_null = isnull[0];
	Datum		stored = load_value(aggregate, values[0], &stored_null);

	if (aggregate->in_order)
	{
		/* the group is fresh: it becomes what is stored */
		replace_value(aggregate, trans, stored, stored_null);
		trans->none = trans->isnull && ((Transition *) aggregate->private)->initial_null;
	}
	else if (!stored_null)
		combine_value(aggregate, trans, stored);
	ResetExprContext(((Transition *) aggregate->private)->scratch);
}

/* Takes over a state as it is. */
static void
take_over(TransitionState *state, TransitionState *other)
{
	*state = *other;
	other->value = (Datum) 0;
	other->isnull = true;
}

/*
 * The other's rows came later; as advance_combine_function() of nodeAgg.c does it.  What
 * stands where states were joined is a function of the rows' order alone, since sessions
 * are joined by the very row that bridges them.
 */
static void
transition_merge(Aggregate *aggregate, void *state, void *other)
{
	Transition *transition = aggregate->private;
	TransitionState *one = state;
	TransitionState *two = other;
	MemoryContext old;
	Datum		value;
	bool		isnull;

	if (transition->combinefn.fn_strict)
	{
		if (two->isnull || (one->isnull && !one->none))
			return;
		if (one->none)
		{
			take_over(one, two);
			return;
		}
	}
	old = MemoryContextSwitchTo(transition->scratch->ecxt_per_tuple_memory);
	value = call_support(aggregate, &transition->combinefn, one->value, one->isnull, two->value, two->isnull, &isnull);
	MemoryContextSwitchTo(old);
	replace_value(aggregate, one, value, isnull);
	ResetExprContext(transition->scratch);
}

/* The state is the column. */
static void
plain_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	const TransitionState *trans = state;

	values[0] = trans->value;
	isnull[0] = trans->isnull;
}

/* The column is the state serialized. */
static void
serial_store(Aggregate *aggregate, const void *state, Datum *values, bool *isnull)
{
	Transition *transition = aggregate->private;
	const TransitionState *trans = state;

	values[0] = (Datum) 0;
	isnull[0] = trans->isnull;
	if (!trans->isnull)
		values[0] = call_support(aggregate, &transition->serialfn, trans->value, false,
								 (Datum) 0, true, &isnull[0]);
}

/* Internal states are left to the reset of all groups' memory. */
static void
plain_release(Aggregate *aggregate, void *state)
{
	Transition *transition = aggregate->private;
	TransitionState *trans = state;

	if (!transition->type.by_value && !trans->isnull)
		pfree(DatumGetPointer(trans->value));
}

const AggregateOps fold_plain_ops = {
	.size = sizeof(TransitionState),
	.prepare = plain_prepare,
	.init = transition_init,
	.step = transition_step,
	.combine = transition_combine,
	.merge = transition_merge,
	.store = plain_store,
	.release = plain_release,
};

const AggregateOps fold_serial_ops = {
	.size = sizeof(TransitionState),
	.prepare = serial_prepare,
	.init = transition_init,
	.step = transition_step,
	.combine = transition_combine,
	.merge = transition_merge,
	.store = serial_store,
};
