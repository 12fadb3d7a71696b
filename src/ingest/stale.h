/*
 * stale.h
 *		Whether what a pipeline loaded may have been changed by DDL.
 */
#ifndef DELTAFLOW_INGEST_STALE_H
#define DELTAFLOW_INGEST_STALE_H

/* From now on changes of this relation count (the topic, a view's definition). */
extern void stale_watch(Oid relid);
extern void stale_watch_parts(const List *items);	/* of PlanInvalItem: functions, domains */
extern void stale_watch_nothing(void);

/* Rises with every change of a watched relation or part, a server, a user mapping or a topic's options. */
extern uint64 stale_count(void);

#endif							/* DELTAFLOW_INGEST_STALE_H */
