/*
 * ingest_api.c
 *		SQL functions about ingests: thin entry points into src/ingest.
 */
#include "postgres.h"

#include "commands/event_trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "ingest/create.h"
#include "worker/wake.h"

PG_FUNCTION_INFO_V1(deltaflow_create_ingest);
PG_FUNCTION_INFO_V1(deltaflow_drop_ingest);
PG_FUNCTION_INFO_V1(deltaflow_set_position);
PG_FUNCTION_INFO_V1(deltaflow_ingest_on_drop);
PG_FUNCTION_INFO_V1(deltaflow_on_connection_change);

/* An argument of type text, NULL for NULL. */
static char *
text_or_null(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(i));
}

/* ERROR for a NULL where a value is needed. */
static void
check_given(FunctionCallInfo fcinfo, int i, const char *name)
{
	if (PG_ARGISNULL(i))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
}

/* deltaflow.create_ingest(topic, target, start, name, filter, options) */
PGDLLEXPORT Datum
deltaflow_create_ingest(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"topic", "target", "start", NULL, NULL, "options"};

	for (int i = 0; i < lengthof(names); i++)
		if (names[i] != NULL)
			check_given(fcinfo, i, names[i]);
	PG_RETURN_TEXT_P(cstring_to_text(ingest_create(PG_GETARG_OID(0), PG_GETARG_OID(1), text_or_null(fcinfo, 2),
												   text_or_null(fcinfo, 3), text_or_null(fcinfo, 4),
												   DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(5))))));
}

/* deltaflow.drop_ingest(name) */
PGDLLEXPORT Datum
deltaflow_drop_ingest(PG_FUNCTION_ARGS)
{
	ingest_drop(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}

/* deltaflow.set_position(name, topic_partition, next_offset) */
PGDLLEXPORT Datum
deltaflow_set_position(PG_FUNCTION_ARGS)
{
	ingest_set_position(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT32(1), PG_GETARG_INT64(2));
	PG_RETURN_VOID();
}

/* event trigger on sql_drop */
PGDLLEXPORT Datum
deltaflow_ingest_on_drop(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" can only be called as an event trigger", "ingest_on_drop")));
	ingest_relations_dropped();
	PG_RETURN_NULL();
}

/* event trigger on ddl_command_end: a topic in use stays that topic; workers look whether it was their server or mapping */
PGDLLEXPORT Datum
deltaflow_on_connection_change(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" can only be called as an event trigger", "on_connection_change")));
	ingest_topics_altered();
	wake_workers_at_commit();
	PG_RETURN_NULL();
}
