/*
 * worker.c
 *		The worker part as the module sees it.
 *
 * Without shared_preload_libraries only the settings exist; everything that needs
 * workers says so, and run_once() does the work in the foreground.  During a
 * binary upgrade nothing is started: a worker would write to databases that
 * pg_upgrade believes to be its own.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "worker/database_ddl.h"
#include "worker/process.h"
#include "worker/settings.h"
#include "worker/worker.h"

void
worker_init(void)
{
	settings_init();
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	slots_init();
	database_ddl_init();
	process_register_launcher();
}
