/*
 * routine.h
 *		The callbacks of wrapper deltaflow_kafka, by file.
 */
#ifndef DELTAFLOW_FDW_ROUTINE_H
#define DELTAFLOW_FDW_ROUTINE_H

#include "foreign/fdwapi.h"

#include "compat.h"
#include "fdw/topic.h"
#include "kafka/consumer.h"

/* A new FdwRoutine. */
extern FdwRoutine *topic_routine(void);

/* Defines deltaflow.broker_timeout; from _PG_init. */
extern void fdw_init_settings(void);

/* plan.c */
extern void topic_get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void topic_get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern ForeignScan *topic_get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
								   List *tlist, List *clauses, Plan *outer_plan);

/* What a ForeignScan's fdw_private holds. */
enum
{
	PRIVATE_COLUMNS				/* list of integers: attribute numbers that the query needs; 0: the whole row */
};

/* estimate.c: what the last scan of a topic in this backend saw */
extern const KafkaRange *known_ranges(Oid relid, int *n);	/* NULL: nothing */
extern void remember_ranges(Oid relid, const KafkaRange *ranges, int n);

/* scan.c */
extern void topic_begin_scan(ForeignScanState *node, int eflags);
extern TupleTableSlot *topic_iterate_scan(ForeignScanState *node);
extern void topic_rescan(ForeignScanState *node);
extern void topic_end_scan(ForeignScanState *node);

/* explain.c */
extern void topic_explain_scan(ForeignScanState *node, ExplainState *es);
extern void topic_explain_modify(ModifyTableState *state, ResultRelInfo *info, List *fdw_private,
								 int subplan, ExplainState *es);

/* modify.c */
extern List *topic_plan_modify(PlannerInfo *root, ModifyTable *plan, Index relation, int subplan);
extern void topic_begin_modify(ModifyTableState *state, ResultRelInfo *info, List *fdw_private,
							   int subplan, int eflags);
extern void topic_begin_insert(ModifyTableState *state, ResultRelInfo *info);
extern TupleTableSlot *topic_insert(EState *estate, ResultRelInfo *info,
									TupleTableSlot *slot, TupleTableSlot *plan_slot);
extern void topic_end_insert(EState *estate, ResultRelInfo *info);
extern int	topic_is_updatable(Relation rel);

#endif							/* DELTAFLOW_FDW_ROUTINE_H */
