/*
 * aggregates.h
 *		How each aggregate function is kept, and its result from what is kept.
 */
#ifndef DELTAFLOW_VIEW_AGGREGATES_H
#define DELTAFLOW_VIEW_AGGREGATES_H

#include "view/view_spec.h"

/* Fills kind, nstate and the types of state[] (not names and attnums) for an aggregate that the rules let pass. */
extern ViewRefusal *aggregate_plan(Aggref *aggref, FoldAggregate *fold);

/* What is appended to the column's name for state[i]; "" when there is one column only. */
extern const char *aggregate_state_suffix(const FoldAggregate *fold, int i);

/* The aggregate's result as an expression over the state columns (varno 1). */
extern Expr *aggregate_final(const FoldAggregate *fold);

/* One line for people: how the aggregate is kept. */
extern const char *aggregate_story(const FoldAggregate *fold);

#endif							/* DELTAFLOW_VIEW_AGGREGATES_H */
