/*
 * batch_api.c
 *		SQL entry points of batch work: unpack, check, one call, return.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "batch/batch.h"
#include "compat.h"
#include "view/load.h"

PG_FUNCTION_INFO_V1(deltaflow_run);
PG_FUNCTION_INFO_V1(deltaflow_recompute);
PG_FUNCTION_INFO_V1(deltaflow_reconcile);
PG_FUNCTION_INFO_V1(deltaflow_lateness_report);

/* Argument n as text; ERROR when it is null. */
static char *
text_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("argument \"%s\" must not be null", name));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/* The view that the first argument names; ERROR when it names an ingest. */
static const ViewRow *
view_arg(FunctionCallInfo fcinfo)
{
	char	   *name = text_arg(fcinfo, 0, "view");
	NamedObject *object = object_by_name(name);

	if (object->view == NULL)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a continuous view", name),
				errhint("SELECT name FROM deltaflow.status WHERE kind = 'view' lists them."));
	return object->view;
}

/* Arguments n and n + 1 as since and until. */
static TimeRange
range_args(FunctionCallInfo fcinfo, int n)
{
	TimeRange	range = {.has_since = !PG_ARGISNULL(n), .has_until = !PG_ARGISNULL(n + 1)};

	if (range.has_since)
		range.since = PG_GETARG_TIMESTAMPTZ(n);
	if (range.has_until)
		range.until = PG_GETARG_TIMESTAMPTZ(n + 1);
	return range;
}

/* ERROR unless the live view says what its rows should be. */
static void
check_running(const ViewRow *view)
{
	if (view->state == STATE_RUNNING)
		return;
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("view \"%s\" is not running", get_rel_name(view->live)),
			errdetail("It is filled, paused or failed, so its rows do not follow its source now."),
			errhint("SELECT state, last_error, hint FROM deltaflow.status WHERE kind = 'view' tells more."));
}

/*
 * SQL: deltaflow.run(view, target, since, until, sources, params) -> bigint
 */
PGDLLEXPORT Datum
deltaflow_run(PG_FUNCTION_ARGS)
{
	const ViewRow *view = view_arg(fcinfo);
	char	   *target = text_arg(fcinfo, 1, "target");
	TimeRange	range = range_args(fcinfo, 2);

	PG_RETURN_INT64(batch_run(view, target, &range,
							  PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4),
							  PG_ARGISNULL(5) ? NULL : PG_GETARG_JSONB_P(5)));
}

/*
 * SQL: deltaflow.recompute(view, since, until) -> bigint
 */
PGDLLEXPORT Datum
deltaflow_recompute(PG_FUNCTION_ARGS)
{
	const ViewRow *view = view_arg(fcinfo);
	TimeRange	range = range_args(fcinfo, 1);

	if (!has_privs_of_role(GetUserId(), view_owner(view)))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_VIEW, get_rel_name(view->live));
	check_running(view);
	PG_RETURN_INT64(batch_recompute(view, &range));
}

/*
 * SQL: deltaflow.reconcile(view, since, until) -> setof (side, reason, row_data)
 */
PGDLLEXPORT Datum
deltaflow_reconcile(PG_FUNCTION_ARGS)
{
	const ViewRow *view = view_arg(fcinfo);
	TimeRange	range = range_args(fcinfo, 1);

	check_running(view);
	InitMaterializedSRF(fcinfo, 0);
	batch_reconcile(view, &range, (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}

/*
 * SQL: deltaflow.lateness_report(relation, delays, window_size) -> setof (partition, rows, watermark_delay, rows_behind, quantile)
 */
PGDLLEXPORT Datum
deltaflow_lateness_report(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("argument \"%s\" must not be null", "relation"));
	InitMaterializedSRF(fcinfo, 0);
	batch_lateness_report(PG_GETARG_OID(0),
						  PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1),
						  PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2),
						  (ReturnSetInfo *) fcinfo->resultinfo);
	return (Datum) 0;
}
