/*
 * control_api.c
 *		SQL functions that control ingests and views: unpack, check, one call, return.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "worker/catch_up.h"
#include "worker/control.h"

#define LONGEST_WAIT_MS (365 * SECS_PER_DAY * INT64CONST(1000))

PG_FUNCTION_INFO_V1(deltaflow_pause);
PG_FUNCTION_INFO_V1(deltaflow_resume);
PG_FUNCTION_INFO_V1(deltaflow_resume_all);
PG_FUNCTION_INFO_V1(deltaflow_run_once);
PG_FUNCTION_INFO_V1(deltaflow_wait);
PG_FUNCTION_INFO_V1(deltaflow_set_view_options);

/* The ingest or view whose name is the first argument. */
static NamedObject *
named_object(FunctionCallInfo fcinfo)
{
	return object_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
}

/* deltaflow.pause(name) */
PGDLLEXPORT Datum
deltaflow_pause(PG_FUNCTION_ARGS)
{
	control_pause(named_object(fcinfo));
	PG_RETURN_VOID();
}

/* deltaflow.resume(name) */
PGDLLEXPORT Datum
deltaflow_resume(PG_FUNCTION_ARGS)
{
	control_resume(named_object(fcinfo));
	PG_RETURN_VOID();
}

/* deltaflow.resume_all() */
PGDLLEXPORT Datum
deltaflow_resume_all(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(control_resume_all());
}

/* deltaflow.run_once(name, close_windows) */
PGDLLEXPORT Datum
deltaflow_run_once(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(control_run_once(named_object(fcinfo), PG_GETARG_BOOL(1)));
}

/* deltaflow.set_view_options(name, options) */
PGDLLEXPORT Datum
deltaflow_set_view_options(PG_FUNCTION_ARGS)
{
	control_set_options(named_object(fcinfo),
						DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(1))));
	PG_RETURN_VOID();
}

/* deltaflow.wait(name, timeout) */
PGDLLEXPORT Datum
deltaflow_wait(PG_FUNCTION_ARGS)
{
	Interval   *timeout = PG_GETARG_INTERVAL_P(1);
	int64		days = (int64) timeout->month * DAYS_PER_MONTH + timeout->day;
	int64		milliseconds = days * (SECS_PER_DAY * INT64CONST(1000)) + timeout->time / 1000;

	if (milliseconds < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout must not be negative")));
	PG_RETURN_BOOL(catch_up(named_object(fcinfo), Min(milliseconds, LONGEST_WAIT_MS)));
}
