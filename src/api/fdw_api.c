/*
 * fdw_api.c
 *		SQL entry points of the wrapper deltaflow_kafka: handler and validator.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "fmgr.h"

#include "fdw/routine.h"
#include "fdw/validator.h"

PG_FUNCTION_INFO_V1(deltaflow_kafka_handler);
PG_FUNCTION_INFO_V1(deltaflow_kafka_validator);

/* kafka_handler() -> fdw_handler */
PGDLLEXPORT Datum
deltaflow_kafka_handler(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(topic_routine());
}

/* kafka_validator(options text[], catalog oid) */
PGDLLEXPORT Datum
deltaflow_kafka_validator(PG_FUNCTION_ARGS)
{
	validate_options(untransformRelOptions(PG_GETARG_DATUM(0)), PG_GETARG_OID(1));
	PG_RETURN_VOID();
}
