/*
 * finals.h
 *		Results of aggregates from the state that a view keeps of them.
 */
#ifndef DELTAFLOW_VIEW_FINALS_H
#define DELTAFLOW_VIEW_FINALS_H

#include "catalog/pg_aggregate.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "utils/array.h"
#include "utils/numeric.h"

/* One of the variance family. */
typedef struct Variance
{
	bool		sample;			/* divide by n - 1, not n */
	bool		root;			/* standard deviation */
} Variance;

/* False: the result is null.  Exact types: the digits of the server's own aggregate. */
extern bool final_variance_numeric(Variance kind, int64 n, Numeric sum, Numeric sumsq, Datum *result);

/* The same of exact float sums (non-overlapping, first element the rounded sum). */
extern bool final_variance_float(Variance kind, int64 n, ArrayType *sum, ArrayType *sumsq, float8 *result);

/*
 * Whether a stored state of this type may go to the aggregate's support functions.
 * Everybody may call them through ours, so nothing else keeps values of other types from them.
 */
extern bool aggregate_takes_state(Form_pg_aggregate form, Oid state_type);

/* Whether the final function goes by types of the arguments that only a call of the aggregate tells. */
extern bool aggregate_final_wants_inputs(Oid aggregate);

/* An aggregate's final step, prepared once per call site; input types: for those that want them. */
typedef struct Finisher Finisher;
extern Finisher *finisher_create(Oid aggregate, Oid state_type, Oid result_type, const Oid *input_types, int ninputs);
extern Datum finisher_call(Finisher *finisher, Oid collation, Datum state, bool state_isnull, bool *isnull);

/* A stand-in for the AggState that aggregate support functions ask for; its memory is *context's. */
extern AggState *aggregate_call_context(ExprContext **context);

#endif							/* DELTAFLOW_VIEW_FINALS_H */
