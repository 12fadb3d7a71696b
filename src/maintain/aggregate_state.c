/*
 * aggregate_state.c
 *		The aggregates of a view as one block of states per group.
 *
 * Each FoldKind has one row in the table below and one set of operations in a
 * fold_*.c.  Every kind keeps this promise: whatever way a group's rows are cut
 * into chunks, written, loaded and combined, the columns end up with the same
 * bytes.  Kinds that can promise it only for rows folded one after the other
 * (in_order) have stored groups loaded before the first row is folded into them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "maintain/aggregate_state.h"

static const AggregateOps *const operations[] = {
	[FOLD_COUNT] = &fold_count_ops,
	[FOLD_SUM_INT] = &fold_sum_int_ops,
	[FOLD_SUM_INT8] = &fold_sum_int8_ops,
	[FOLD_SUM_NUMERIC] = &fold_sum_numeric_ops,
	[FOLD_SUM_FLOAT] = &fold_sum_float_ops,
	[FOLD_AVG_INT] = &fold_avg_int_ops,
	[FOLD_AVG_INT8] = &fold_avg_int8_ops,
	[FOLD_AVG_NUMERIC] = &fold_avg_numeric_ops,
	[FOLD_AVG_FLOAT] = &fold_avg_float_ops,
	[FOLD_VAR_EXACT] = &fold_var_exact_ops,
	[FOLD_VAR_FLOAT] = &fold_var_float_ops,
	[FOLD_MIN] = &fold_min_ops,
	[FOLD_MAX] = &fold_max_ops,
	[FOLD_PLAIN] = &fold_plain_ops,
	[FOLD_SERIAL] = &fold_serial_ops,
};

/* The type of an input column. */
static Oid
input_type(const ViewSpec *spec, int input)
{
	TargetEntry *entry = list_nth_node(TargetEntry, spec->input_tlist, input);

	return getBaseType(exprType((Node *) entry->expr));
}

/* Prepares one aggregate. */
static void
aggregate_init(Aggregate *aggregate, const ViewSpec *spec, const FoldAggregate *fold)
{
	Assert(fold->kind < lengthof(operations));

	for (int i = 1; i < fold->nstate; i++)
	{
		if (fold->state[i].attnum != fold->state[0].attnum + i)
			elog(ERROR, "state columns of an aggregate are apart");
	}

	aggregate->ops = operations[fold->kind];
	aggregate->spec = fold;
	aggregate->filter = fold->filter;
	aggregate->arg = fold->nargs > 0 ? fold->args[0] : -1;
	aggregate->argtype = fold->nargs > 0 ? input_type(spec, fold->args[0]) : InvalidOid;
	if (aggregate->ops->prepare != NULL)
		aggregate->ops->prepare(aggregate);
}

/* Prepares all aggregates and lays a group out. */
Aggregates *
aggregates_create(const ViewSpec *spec, Size header)
{
	Aggregates *all = palloc0(sizeof(Aggregates));
	Size		offset = MAXALIGN(header);

	all->naggregates = spec->naggregates;
	all->items = palloc0(Max(spec->naggregates, 1) * sizeof(Aggregate));
	all->context = AllocSetContextCreate(CurrentMemoryContext,
										 "deltaflow group values",
										 ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < spec->naggregates; i++)
	{
		Aggregate  *aggregate = &all->items[i];

		aggregate->context = all->context;
		aggregate->offset = offset;
		aggregate_init(aggregate, spec, &spec->aggregates[i]);
		offset += MAXALIGN(aggregate->ops->size);
		all->in_order |= aggregate->in_order;
		all->opaque |= aggregate->opaque;
		all->any_release |= aggregate->ops->release != NULL;
	}
	all->group_size = offset;
	return all;
}

/* Sets a new group's states to no input. */
void
aggregates_init(const Aggregates *aggregates, struct FoldGroup *group)
{
	for (int i = 0; i < aggregates->naggregates; i++)
	{
		const Aggregate *aggregate = &aggregates->items[i];
		void	   *state = (char *) group + aggregate->offset;

		memset(state, 0, aggregate->ops->size);
		if (aggregate->ops->init != NULL)
			aggregate->ops->init(aggregate, state);
	}
}

/* Takes a chunk of rows into their groups. */
void
aggregates_step(Aggregates *aggregates, FoldChunk *chunk)
{
	for (int i = 0; i < aggregates->naggregates; i++)
		aggregates->items[i].ops->step(&aggregates->items[i], chunk);
}

/* Frees what a group's states point to. */
void
aggregates_release(Aggregates *aggregates, struct FoldGroup *group)
{
	if (!aggregates->any_release)
		return;
	for (int i = 0; i < aggregates->naggregates; i++)
	{
		Aggregate  *aggregate = &aggregates->items[i];

		if (aggregate->ops->release != NULL)
			aggregate->ops->release(aggregate, (char *) group + aggregate->offset);
	}
}

/* Adds one state to another by way of its columns, which every kind but the transitions can do. */
static void
merge_by_columns(Aggregate *aggregate, void *state, const void *other)
{
	Datum		values[FOLD_STATE_COLUMNS];
	bool		isnull[FOLD_STATE_COLUMNS];

	Assert(aggregate->spec->nstate <= FOLD_STATE_COLUMNS);
	aggregate->ops->store(aggregate, other, values, isnull);
	aggregate->ops->combine(aggregate, state, values, isnull);
}

/* Adds the states of another group. */
void
aggregates_merge(Aggregates *aggregates, struct FoldGroup *group, struct FoldGroup *other)
{
	for (int i = 0; i < aggregates->naggregates; i++)
	{
		Aggregate  *aggregate = &aggregates->items[i];
		void	   *state = (char *) group + aggregate->offset;
		void	   *added = (char *) other + aggregate->offset;

		if (aggregate->ops->merge != NULL)
			aggregate->ops->merge(aggregate, state, added);
		else
			merge_by_columns(aggregate, state, added);
	}
}

/* Adds a stored row to a group's states. */
void
aggregates_combine(Aggregates *aggregates, struct FoldGroup *group,
				   const Datum *values, const bool *isnull)
{
	for (int i = 0; i < aggregates->naggregates; i++)
	{
		Aggregate  *aggregate = &aggregates->items[i];
		int			first = aggregate->spec->state[0].attnum - 1;

		aggregate->ops->combine(aggregate, (char *) group + aggregate->offset,
								values + first, isnull + first);
	}
}

/* Writes a group's states as columns. */
void
aggregates_store(Aggregates *aggregates, const struct FoldGroup *group,
				 Datum *values, bool *isnull)
{
	for (int i = 0; i < aggregates->naggregates; i++)
	{
		Aggregate  *aggregate = &aggregates->items[i];
		int			first = aggregate->spec->state[0].attnum - 1;

		aggregate->ops->store(aggregate, (const char *) group + aggregate->offset,
							  values + first, isnull + first);
	}
}
