/*
 * view_api.c
 *		SQL functions about continuous views: thin entry points into src/view.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "view/finals.h"
#include "view/window_key.h"

PG_FUNCTION_INFO_V1(deltaflow_window_end_bin);
PG_FUNCTION_INFO_V1(deltaflow_window_end_trunc);
PG_FUNCTION_INFO_V1(deltaflow_window_end_trunc_tz);
PG_FUNCTION_INFO_V1(deltaflow_window_end_trunc_zone);
PG_FUNCTION_INFO_V1(deltaflow_final_var_pop_numeric);
PG_FUNCTION_INFO_V1(deltaflow_final_var_samp_numeric);
PG_FUNCTION_INFO_V1(deltaflow_final_stddev_pop_numeric);
PG_FUNCTION_INFO_V1(deltaflow_final_stddev_samp_numeric);
PG_FUNCTION_INFO_V1(deltaflow_final_var_pop_float);
PG_FUNCTION_INFO_V1(deltaflow_final_var_samp_float);
PG_FUNCTION_INFO_V1(deltaflow_final_stddev_pop_float);
PG_FUNCTION_INFO_V1(deltaflow_final_stddev_samp_float);
PG_FUNCTION_INFO_V1(deltaflow_finalize);
PG_FUNCTION_INFO_V1(deltaflow_param);

/* window_end(start, stride) */
PGDLLEXPORT Datum
deltaflow_window_end_bin(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMP(window_end_bin(PG_GETARG_TIMESTAMP(0), PG_GETARG_INTERVAL_P(1)));
}

/* window_end(start timestamp, unit) */
PGDLLEXPORT Datum
deltaflow_window_end_trunc(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMP(window_end_trunc(PG_GETARG_TIMESTAMP(0), text_to_cstring(PG_GETARG_TEXT_PP(1))));
}

/* window_end(start timestamptz, unit) */
PGDLLEXPORT Datum
deltaflow_window_end_trunc_tz(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(window_end_trunc_tz(PG_GETARG_TIMESTAMPTZ(0), text_to_cstring(PG_GETARG_TEXT_PP(1)), NULL));
}

/* window_end(start timestamptz, unit, zone) */
PGDLLEXPORT Datum
deltaflow_window_end_trunc_zone(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(window_end_trunc_tz(PG_GETARG_TIMESTAMPTZ(0),
											  text_to_cstring(PG_GETARG_TEXT_PP(1)),
											  text_to_cstring(PG_GETARG_TEXT_PP(2))));
}

/* final_*(n bigint, sum numeric, sumsq numeric) */
static Datum
variance_numeric(FunctionCallInfo fcinfo, bool sample, bool root)
{
	Datum		result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) ||
		!final_variance_numeric((Variance) {sample, root}, PG_GETARG_INT64(0),
								PG_GETARG_NUMERIC(1), PG_GETARG_NUMERIC(2), &result))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/* final_*(n bigint, sum float8[], sumsq float8[]) */
static Datum
variance_float(FunctionCallInfo fcinfo, bool sample, bool root)
{
	float8		result;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) ||
		!final_variance_float((Variance) {sample, root}, PG_GETARG_INT64(0),
							  PG_GETARG_ARRAYTYPE_P(1), PG_GETARG_ARRAYTYPE_P(2), &result))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(result);
}

PGDLLEXPORT Datum
deltaflow_final_var_pop_numeric(PG_FUNCTION_ARGS)
{
	return variance_numeric(fcinfo, false, false);
}

PGDLLEXPORT Datum
deltaflow_final_var_samp_numeric(PG_FUNCTION_ARGS)
{
	return variance_numeric(fcinfo, true, false);
}

PGDLLEXPORT Datum
deltaflow_final_stddev_pop_numeric(PG_FUNCTION_ARGS)
{
	return variance_numeric(fcinfo, false, true);
}

PGDLLEXPORT Datum
deltaflow_final_stddev_samp_numeric(PG_FUNCTION_ARGS)
{
	return variance_numeric(fcinfo, true, true);
}

PGDLLEXPORT Datum
deltaflow_final_var_pop_float(PG_FUNCTION_ARGS)
{
	return variance_float(fcinfo, false, false);
}

PGDLLEXPORT Datum
deltaflow_final_var_samp_float(PG_FUNCTION_ARGS)
{
	return variance_float(fcinfo, true, false);
}

PGDLLEXPORT Datum
deltaflow_final_stddev_pop_float(PG_FUNCTION_ARGS)
{
	return variance_float(fcinfo, false, true);
}

PGDLLEXPORT Datum
deltaflow_final_stddev_samp_float(PG_FUNCTION_ARGS)
{
	return variance_float(fcinfo, true, true);
}

/* finalize(aggregate regprocedure, state "any", result anyelement) */
PGDLLEXPORT Datum
deltaflow_finalize(PG_FUNCTION_ARGS)
{
	Finisher   *finisher = fcinfo->flinfo->fn_extra;
	bool		isnull;
	Datum		result;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (finisher == NULL)
	{
		MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		finisher = finisher_create(PG_GETARG_OID(0),
								   get_fn_expr_argtype(fcinfo->flinfo, 1),
								   get_fn_expr_argtype(fcinfo->flinfo, 2));
		fcinfo->flinfo->fn_extra = finisher;
		MemoryContextSwitchTo(before);
	}
	result = finisher_call(finisher, PG_GET_COLLATION(), PG_GETARG_DATUM(1), PG_ARGISNULL(1), &isnull);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/* param(name, value): the value; deltaflow.run puts another in its place */
PGDLLEXPORT Datum
deltaflow_param(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}
