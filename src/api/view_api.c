/*
 * view_api.c
 *		SQL functions about continuous views: thin entry points into src/view.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "view/ddl.h"
#include "view/explain.h"
#include "view/finals.h"
#include "view/window_key.h"
#include "window/lateness.h"

PG_FUNCTION_INFO_V1(deltaflow_window_end_trunc);
PG_FUNCTION_INFO_V1(deltaflow_window_end_trunc_tz);
PG_FUNCTION_INFO_V1(deltaflow_window_end_trunc_zone);
PG_FUNCTION_INFO_V1(deltaflow_window_limit);
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
PG_FUNCTION_INFO_V1(deltaflow_create_view);
PG_FUNCTION_INFO_V1(deltaflow_explain);
PG_FUNCTION_INFO_V1(deltaflow_on_ddl);
PG_FUNCTION_INFO_V1(deltaflow_on_drop);

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

/* window_limit(window_end, lateness): the watermark from which on the window is final */
PGDLLEXPORT Datum
deltaflow_window_limit(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(lateness_limit(PG_GETARG_TIMESTAMPTZ(0), lateness_length(PG_GETARG_INTERVAL_P(1))));
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

/* finalize(aggregate regprocedure, state "any", result anyelement [, variadic inputs "any"]) */
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
		Oid			input_types[FUNC_MAX_ARGS];
		int			ninputs = PG_NARGS() - 3;

		for (int i = 0; i < ninputs; i++)
			input_types[i] = get_fn_expr_argtype(fcinfo->flinfo, i + 3);
		finisher = finisher_create(PG_GETARG_OID(0),
								   get_fn_expr_argtype(fcinfo->flinfo, 1),
								   get_fn_expr_argtype(fcinfo->flinfo, 2), input_types, ninputs);
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

/* create_view(name, query, from_view, lateness, emit, start, options) */
PGDLLEXPORT Datum
deltaflow_create_view(PG_FUNCTION_ARGS)
{
	CreateView	create = {0};

	for (int i = 0; i < 7; i++)
		if (PG_ARGISNULL(i) && (i == 0 || i == 4 || i == 6))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("name, emit and options of a continuous view must not be null")));

	create.name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	create.query = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	create.from_view = PG_ARGISNULL(2) ? InvalidOid : PG_GETARG_OID(2);
	create.lateness = PG_ARGISNULL(3) ? NULL : PG_GETARG_INTERVAL_P(3);
	create.emit = text_to_cstring(PG_GETARG_TEXT_PP(4));
	create.start = PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5));
	create.options = DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(6)));

	PG_RETURN_TEXT_P(cstring_to_text(view_create(&create)));
}

/* explain(view) */
PGDLLEXPORT Datum
deltaflow_explain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ViewRow    *row = view_by_live(PG_GETARG_OID(0));
	ListCell   *lc;

	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a continuous view", get_rel_name(PG_GETARG_OID(0))),
				 errhint("SELECT name FROM deltaflow.status WHERE kind = 'view' lists them.")));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(lc, view_explain(row))
	{
		Datum		value = CStringGetTextDatum(lfirst(lc));
		bool		isnull = false;

		tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

/* Relations that the event at hand concerns; sql gives their oids. */
static Oid *
event_relations(FunctionCallInfo fcinfo, const char *sql, int *n)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid		   *relids;
	bool		isnull;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called by an event trigger")));

	SPI_connect();
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the objects of an event");
	*n = (int) SPI_processed;
	relids = MemoryContextAlloc(caller, sizeof(Oid) * (*n + 1));
	for (int i = 0; i < *n; i++)
		relids[i] = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return relids;
}

/* Event trigger on ddl_command_end */
PGDLLEXPORT Datum
deltaflow_on_ddl(PG_FUNCTION_ARGS)
{
	int			n;
	Oid		   *relids = event_relations(fcinfo,
										 "SELECT DISTINCT objid FROM pg_catalog.pg_event_trigger_ddl_commands() "
										 "WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass ORDER BY 1", &n);

	views_follow(relids, n);
	PG_RETURN_NULL();
}

/* Event trigger on sql_drop */
PGDLLEXPORT Datum
deltaflow_on_drop(PG_FUNCTION_ARGS)
{
	int			n;
	Oid		   *relids = event_relations(fcinfo,
										 "SELECT objid FROM pg_catalog.pg_event_trigger_dropped_objects() "
										 "WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objsubid = 0 "
										 "AND object_type IN ('view', 'table', 'foreign table') ORDER BY 1", &n);

	views_dropped(relids, n);
	PG_RETURN_NULL();
}
