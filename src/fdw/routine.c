/*
 * routine.c
 *		The table of callbacks of wrapper deltaflow_kafka, and its settings.
 *
 * What is not here is not supported, and the server says so: ANALYZE, TRUNCATE,
 * parallel and asynchronous scans, IMPORT FOREIGN SCHEMA.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "fdw/bounded_read.h"
#include "fdw/routine.h"

FdwRoutine *
topic_routine(void)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = topic_get_rel_size;
	routine->GetForeignPaths = topic_get_paths;
	routine->GetForeignPlan = topic_get_plan;

	routine->BeginForeignScan = topic_begin_scan;
	routine->IterateForeignScan = topic_iterate_scan;
	routine->ReScanForeignScan = topic_rescan;
	routine->EndForeignScan = topic_end_scan;
	routine->ExplainForeignScan = topic_explain_scan;

	routine->PlanForeignModify = topic_plan_modify;
	routine->BeginForeignModify = topic_begin_modify;
	routine->BeginForeignInsert = topic_begin_insert;
	routine->ExecForeignInsert = topic_insert;
	routine->EndForeignModify = topic_end_insert;
	routine->EndForeignInsert = topic_end_insert;
	routine->IsForeignRelUpdatable = topic_is_updatable;
	routine->ExplainForeignModify = topic_explain_modify;
	return routine;
}

void
fdw_init_settings(void)
{
	DefineCustomIntVariable("deltaflow.broker_timeout",
							"How long a statement waits for the broker without getting anything.",
							NULL, &broker_timeout, 30000, 100, 3600000,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
}
