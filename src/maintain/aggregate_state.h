/*
 * aggregate_state.h
 *		How aggregates are kept in memory: one set of operations per FoldKind.
 *
 * A group holds a fixed-size state per aggregate.  Steps take a chunk of rows at a
 * time, each row knowing its group, so that one aggregate's loop stays tight.
 */
#ifndef DELTAFLOW_MAINTAIN_AGGREGATE_STATE_H
#define DELTAFLOW_MAINTAIN_AGGREGATE_STATE_H

#include "view/view_spec.h"

struct FoldGroup;
typedef struct Aggregate Aggregate;

#define FOLD_CHUNK_ROWS	64
#define FOLD_STATE_COLUMNS	3		/* of one aggregate, at most */

/* Rows on their way into their groups: WHERE was true, none is late. */
typedef struct FoldChunk
{
	int			nrows;
	int			ninputs;
	Datum	   *values;			/* nrows * ninputs: the input columns */
	bool	   *isnull;
	int			input[FOLD_CHUNK_ROWS]; /* where row i's inputs begin in them */
	struct FoldGroup *group[FOLD_CHUNK_ROWS];
	int			row[FOLD_CHUNK_ROWS];	/* its number in the batch */
	int			at;				/* the row of the chunk being worked on */
} FoldChunk;

typedef struct AggregateOps
{
	Size		size;			/* of a state */
	void		(*prepare) (Aggregate *aggregate);	/* NULL: nothing to look up */
	void		(*init) (const Aggregate *aggregate, void *state);	/* NULL: all zero */
	void		(*step) (Aggregate *aggregate, FoldChunk *chunk);

	/* adds what the columns of a stored row say */
	void		(*combine) (Aggregate *aggregate, void *state, const Datum *values, const bool *isnull);

	/* the state as columns; what they point to is the state's or in CurrentMemoryContext */
	void		(*store) (Aggregate *aggregate, const void *state, Datum *values, bool *isnull);

	/* adds another state, of later rows, which is good for nothing but release then; NULL: store and combine */
	void		(*merge) (Aggregate *aggregate, void *state, void *other);

	/* frees what the state points to; NULL: never points to anything */
	void		(*release) (Aggregate *aggregate, void *state);
} AggregateOps;

struct Aggregate
{
	const AggregateOps *ops;
	const FoldAggregate *spec;
	Size		offset;			/* of the state in a group */
	int			filter;			/* input column of the condition, -1: none */
	int			arg;			/* input column of the first argument, -1: none */
	Oid			argtype;		/* its type, domains looked through */
	bool		in_order;		/* batch cuts would show in combined states: load stored groups before stepping */
	bool		opaque;			/* states cannot be freed one by one */
	MemoryContext context;		/* of what states point to */
	void	   *private;		/* of the kind */
};

/* All of a view. */
typedef struct Aggregates
{
	int			naggregates;
	Aggregate  *items;
	Size		group_size;		/* of a group with keys and states, maxaligned */
	bool		in_order;		/* of any */
	bool		opaque;			/* of any */
	bool		any_release;
	MemoryContext context;		/* what states and keys point to; reset when all groups are forgotten */
} Aggregates;

/* `header` is the size of a group before its states.  Lives in CurrentMemoryContext. */
extern Aggregates *aggregates_create(const ViewSpec *spec, Size header);

extern void aggregates_init(const Aggregates *aggregates, struct FoldGroup *group);
extern void aggregates_step(Aggregates *aggregates, FoldChunk *chunk);
extern void aggregates_release(Aggregates *aggregates, struct FoldGroup *group);

/* Adds the states of another group, whose rows count as later ones, and which is only to be released then. */
extern void aggregates_merge(Aggregates *aggregates, struct FoldGroup *group, struct FoldGroup *other);

/* Between a group's states and a row of the state table; arrays are indexed by attnum - 1. */
extern void aggregates_combine(Aggregates *aggregates, struct FoldGroup *group,
							   const Datum *values, const bool *isnull);
extern void aggregates_store(Aggregates *aggregates, const struct FoldGroup *group,
							 Datum *values, bool *isnull);

/* Does the row count: is the FILTER, if any, true? */
static inline bool
row_passes(const Aggregate *aggregate, const FoldChunk *chunk, int i)
{
	int			at = chunk->input[i] + aggregate->filter;

	return aggregate->filter < 0 ||
		(!chunk->isnull[at] && DatumGetBool(chunk->values[at]));
}

/* The first argument of row i; false: it is NULL or the row does not count. */
static inline bool
row_argument(const Aggregate *aggregate, FoldChunk *chunk, int i, Datum *value)
{
	int			at = chunk->input[i] + aggregate->arg;

	chunk->at = i;
	if (chunk->isnull[at] || !row_passes(aggregate, chunk, i))
		return false;
	*value = chunk->values[at];
	return true;
}

static inline void *
row_state(const Aggregate *aggregate, const FoldChunk *chunk, int i)
{
	return (char *) chunk->group[i] + aggregate->offset;
}

/* fold_exact.c, fold_numeric.c, fold_float.c, fold_extreme.c, fold_transition.c */
extern const AggregateOps fold_count_ops,
			fold_sum_int_ops,
			fold_avg_int_ops,
			fold_sum_int8_ops,
			fold_sum_numeric_ops,
			fold_avg_int8_ops,
			fold_avg_numeric_ops,
			fold_var_exact_ops,
			fold_sum_float_ops,
			fold_avg_float_ops,
			fold_var_float_ops,
			fold_min_ops,
			fold_max_ops,
			fold_plain_ops,
			fold_serial_ops;

#endif							/* DELTAFLOW_MAINTAIN_AGGREGATE_STATE_H */
