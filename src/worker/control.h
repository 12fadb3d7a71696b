/*
 * control.h
 *		What users tell pipelines and views to do, apart from making and dropping them.
 *
 * The functions check that the caller owns the ingest's target, the view, or the
 * topic's table, and take the pipeline's lock.
 */
#ifndef DELTAFLOW_WORKER_CONTROL_H
#define DELTAFLOW_WORKER_CONTROL_H

#include "catalog/catalog.h"

extern void control_pause(const NamedObject *object);
extern void control_resume(const NamedObject *object);
extern int64 control_resume_all(void);	/* what the caller owns; returns how many */
extern int64 control_run_once(const NamedObject *object, bool close_windows);

/* Of a view; options as jsonb text. */
extern void control_set_options(const NamedObject *object, const char *options);

/* The relation whose owner commands: the view, the ingest's target, or the topic's table. */
extern Oid	object_relation(const NamedObject *object);

#endif							/* DELTAFLOW_WORKER_CONTROL_H */
