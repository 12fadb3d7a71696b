/*
 * deltaflow.c
 *		Module entry: settings, hooks and shared memory of each part, in a row.
 *
 * Nothing else lives here.  src/README.md is the tour.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "batch/batch_progress.h"
#include "clock.h"
#include "compat.h"
#include "fdw/routine.h"
#include "format/format.h"
#include "kafka/consumer.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	clock_init_settings();
	format_init_settings();
	kafka_init_settings();
	fdw_init_settings();
	worker_init();
	batch_progress_init();
	MarkGUCPrefixReserved("deltaflow");
}
