/*
 * merge.h
 *		States of several groups into one, when a view is read: what the panes of a
 *		window say together.
 */
#ifndef DELTAFLOW_MAINTAIN_MERGE_H
#define DELTAFLOW_MAINTAIN_MERGE_H

#include "fmgr.h"
#include "utils/array.h"

#include "maintain/float_sum.h"

/* Adds a stored exact sum (float8[]); wide sums are made in `context`. */
extern void float_array_add(FloatSum *sum, Datum array, MemoryContext context);

/* The sum as stored. */
extern ArrayType *float_array_of(const FloatSum *sum);

/* The functions by which an aggregate's states are merged, looked up once per query. */
typedef struct StateMerger StateMerger;

/* state_type: of the stored state, bytea for an internal one.  In CurrentMemoryContext. */
extern StateMerger *state_merger_create(Oid aggregate, Oid state_type);
extern Oid	state_merger_aggregate(const StateMerger *merger);

/* A state in the making. */
typedef struct MergedState
{
	Datum		value;
	bool		some;			/* else nothing was added */
} MergedState;

/*
 * Adds a stored state.  `agg` is the AggState that the call came from, `context` its
 * memory for aggregates.
 */
extern void state_merger_add(StateMerger *merger, MergedState *merged, Datum state,
							 Oid collation, fmNodePtr agg, MemoryContext context);

/* What was merged, as stored; something was. */
extern Datum state_merger_result(StateMerger *merger, const MergedState *merged, Oid collation, fmNodePtr agg);

#endif							/* DELTAFLOW_MAINTAIN_MERGE_H */
