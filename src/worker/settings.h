/*
 * settings.h
 *		Settings of workers and epochs, read by whoever needs them.
 *
 * Settings that concern one part only (caps of formats, the test clock) are
 * defined by that part.
 */
#ifndef DELTAFLOW_WORKER_SETTINGS_H
#define DELTAFLOW_WORKER_SETTINGS_H

/* Processes: postgresql.conf or the command line */
extern bool setting_enabled;	/* deltaflow.enabled: false stops all workers */
extern int	setting_max_workers;	/* deltaflow.max_workers: slots in shared memory; fixed at start */
extern int	setting_naptime;	/* deltaflow.naptime, seconds: how often catalogs are looked at without being told */
extern int	setting_epoch_retention;	/* deltaflow.epoch_retention, minutes: age at which rows of the epochs log go; -1 never */

/* Epochs: any session may set them for its own run_once(); for workers by postgresql.conf or ALTER DATABASE */
extern int	setting_epoch_interval; /* deltaflow.epoch_interval, ms: from arrival to commit under load, aimed at */
extern int	setting_epoch_max_records;	/* deltaflow.epoch_max_records: taken by one epoch at most */
extern int	setting_epoch_max_bytes;	/* deltaflow.epoch_max_bytes, kB: payload taken by one epoch at most */
extern int	setting_group_cache;	/* deltaflow.group_cache, kB: bounds the group cache of each view */

/* Defines them; from _PG_init. */
extern void settings_init(void);

#endif							/* DELTAFLOW_WORKER_SETTINGS_H */
