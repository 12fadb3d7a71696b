/*
 * settings.c
 *		The settings of workers and epochs, in one table.
 *
 * In: postgresql.conf, ALTER DATABASE and the like.  Out: variables others read.
 * deltaflow.max_workers sizes shared memory, so it exists only in servers that
 * preload the library; the others exist wherever the library is loaded.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "compat.h"
#include "worker/settings.h"

bool		setting_enabled = true;
int			setting_max_workers = 64;
int			setting_naptime = 60;
int			setting_epoch_retention = 24 * 60;
int			setting_epoch_interval = 100;
int			setting_epoch_max_records = 250000;
int			setting_epoch_max_bytes = 64 * 1024;
int			setting_group_cache = 64 * 1024;

/* One whole-number setting; its default is what the variable holds. */
typedef struct IntSetting
{
	const char *name;
	int		   *variable;
	int			min;
	int			max;
	GucContext	context;
	int			flags;
	const char *description;
	const char *more;
} IntSetting;

static const IntSetting int_settings[] = {
	{"deltaflow.max_workers", &setting_max_workers, 2, 10000, PGC_POSTMASTER, 0,
		"Supervisors and pipeline workers that can run at one time in all databases.",
	"Each also takes one of max_worker_processes."},
	{"deltaflow.naptime", &setting_naptime, 1, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S,
		"Time after which launcher and supervisors look again without being told.",
	NULL},
	{"deltaflow.epoch_retention", &setting_epoch_retention, -1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MIN,
		"Age at which rows of deltaflow.epochs are removed.",
	"-1 keeps them for ever."},
	{"deltaflow.epoch_interval", &setting_epoch_interval, 1, 60 * 1000, PGC_USERSET, GUC_UNIT_MS,
		"Time from arrival to commit that a loaded pipeline aims at.",
	"Larger values fold more records into each transaction."},
	{"deltaflow.epoch_max_records", &setting_epoch_max_records, 1, INT_MAX / 1024, PGC_USERSET, 0,
		"Records that one epoch takes at most.",
	NULL},
	{"deltaflow.epoch_max_bytes", &setting_epoch_max_bytes, 64, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB,
		"Payload that one epoch takes at most.",
	"A single larger record is an epoch of its own."},
	{"deltaflow.group_cache", &setting_group_cache, 64, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB,
		"Memory for the groups that a worker remembers, for each view.",
	NULL},
};

void
settings_init(void)
{
	DefineCustomBoolVariable("deltaflow.enabled",
							 "Runs pipelines in background workers.",
							 "Turning it off stops all workers after their current epoch.",
							 &setting_enabled, true, PGC_SIGHUP, 0, NULL, NULL, NULL);

	for (int i = 0; i < lengthof(int_settings); i++)
	{
		const IntSetting *setting = &int_settings[i];

		if (setting->context == PGC_POSTMASTER && !process_shared_preload_libraries_in_progress)
			continue;
		DefineCustomIntVariable(setting->name, setting->description, setting->more,
								setting->variable, *setting->variable, setting->min, setting->max,
								setting->context, setting->flags, NULL, NULL, NULL);
	}
}
