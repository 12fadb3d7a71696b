/*
 * row_input.c
 *		A view's WHERE and input columns, computed straight from decoded rows.
 *
 * In come rows of a batch as arrays of datums; out goes a chunk of rows that WHERE
 * passed, each with its input columns (keys, filters, arguments).  There is no plan:
 * a virtual slot is pointed at each row and compiled expressions run over it.
 *
 *	column of the source		copied
 *	constant					copied
 *	start of the window			remembered where that can be done (window_start.c)
 *	anything else				one projection for all of them, straight into the chunk
 *
 * Memory: compiled expressions live as long as the input; computed values in a
 * scratch context that is emptied per chunk, not per row.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"

#include "compat.h"
#include "maintain/row_input.h"
#include "maintain/window_start.h"

/* An input column that is a column of the source. */
typedef struct PlainColumn
{
	int			input;
	int			source;			/* attnum - 1 */
} PlainColumn;

/* An input column that is the same for all rows. */
typedef struct ConstantColumn
{
	int			input;
	const Const *value;
} ConstantColumn;

struct RowInput
{
	const ViewSpec *spec;
	EState	   *estate;
	ExprContext *context;
	TupleTableSlot *slot;		/* pointed at the row; NULL until the first batch */
	TupleDesc	source_desc;	/* whose shape the slot has */
	TupleTableSlot *result;		/* pointed into the chunk */

	int			nrequired;
	int		   *required;		/* columns of the source (attnum - 1) that must not be null */
	ExprState  *where;			/* what else WHERE asks, NULL: nothing */
	ExprState  *time;			/* NULL: no window */
	ProjectionInfo *projection; /* NULL: nothing to compute */
	List	   *computed;		/* its target list */
	WindowStart *start;			/* NULL: the window's start is among the computed */
	int			nplain;
	PlainColumn *plain;
	int			nconstants;
	ConstantColumn *constant;
};

/* Prepares an expression as the planner would. */
static Expr *
planned(const Expr *expr)
{
	return expression_planner((Expr *) copyObject(expr));
}

/* The window's start in remembered form, if the input column is that and can be. */
static bool
add_window_start(RowInput *input, Expr *expr, int at, WindowLimits *limits)
{
	const ViewSpec *spec = input->spec;

	if (input->start != NULL || limits == NULL || at != spec->keys[spec->window.key].input)
		return false;
	input->start = window_start_create(spec, expr, limits);
	if (input->start == NULL)
		return false;
	input->start->input = at;
	return true;
}

/* Sorts an input column into one of the three ways. */
static void
add_column(RowInput *input, TargetEntry *entry, int at, WindowLimits *limits)
{
	Expr	   *expr = planned(entry->expr);

	if (IsA(expr, Var) && ((Var *) expr)->varattno > 0)
	{
		input->plain[input->nplain].input = at;
		input->plain[input->nplain].source = ((Var *) expr)->varattno - 1;
		input->nplain++;
	}
	else if (IsA(expr, Const) && ((Const *) expr)->constbyval)
	{
		input->constant[input->nconstants].input = at;
		input->constant[input->nconstants].value = (Const *) expr;
		input->nconstants++;
	}
	else if (!add_window_start(input, expr, at, limits))
		input->computed = lappend(input->computed,
								  makeTargetEntry(expr, at + 1, NULL, false));
}

/* The column that `column IS NOT NULL` is about, from 0; -1: it is something else. */
static int
required_column(const Expr *clause)
{
	const NullTest *test = (const NullTest *) clause;

	if (!IsA(clause, NullTest) || test->nulltesttype != IS_NOT_NULL || test->argisrow ||
		!IsA(test->arg, Var) || ((const Var *) test->arg)->varattno <= 0)
		return -1;
	return ((const Var *) test->arg)->varattno - 1;
}

/* Sorts WHERE into what the row's null flags tell, and the rest. */
static void
add_where(RowInput *input, const Expr *where)
{
	List	   *clauses = make_ands_implicit(planned(where));
	List	   *rest = NIL;
	ListCell   *lc;

	input->required = palloc(list_length(clauses) * sizeof(int));
	foreach(lc, clauses)
	{
		int			column = required_column(lfirst(lc));

		if (column >= 0)
			input->required[input->nrequired++] = column;
		else
			rest = lappend(rest, lfirst(lc));
	}
	input->where = ExecInitQual(rest, NULL);
}

/* Compiles what can be before the shape of the rows is known. */
RowInput *
row_input_create(const ViewSpec *spec, WindowLimits *limits)
{
	RowInput   *input = palloc0(sizeof(RowInput));
	ListCell   *lc;
	int			at = 0;

	input->spec = spec;
	input->estate = CreateExecutorState();
	input->context = CreateExprContext(input->estate);
	input->plain = palloc0(Max(spec->ninputs, 1) * sizeof(PlainColumn));
	input->constant = palloc0(Max(spec->ninputs, 1) * sizeof(ConstantColumn));
	if (spec->where != NULL)
		add_where(input, spec->where);
	if (spec->window.kind != WINDOW_NONE)
		input->time = ExecInitExpr(planned(spec->window.time), NULL);
	foreach(lc, spec->input_tlist)
		add_column(input, lfirst_node(TargetEntry, lc), at++, limits);
	return input;
}

/* The context of computed values. */
MemoryContext
row_input_scratch(RowInput *input)
{
	return input->context->ecxt_per_tuple_memory;
}

/* A descriptor of the input columns, for the projection's result. */
static TupleDesc
input_desc(const ViewSpec *spec)
{
	TupleDesc	desc = CreateTemplateTupleDesc(spec->ninputs);
	ListCell   *lc;
	AttrNumber	attnum = 0;

	foreach(lc, spec->input_tlist)
	{
		Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

		TupleDescInitEntry(desc, ++attnum, NULL, exprType(expr), exprTypmod(expr), 0);
		TupleDescInitEntryCollation(desc, attnum, exprCollation(expr));
	}
	return desc;
}

/* Makes the slots, and the projection between them, for rows of this shape. */
static void
set_shape(RowInput *input, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(input->estate->es_query_cxt);

	input->source_desc = desc;
	input->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(desc), &TTSOpsVirtual);
	input->context->ecxt_scantuple = input->slot;
	if (input->computed != NIL)
	{
		input->result = MakeSingleTupleTableSlot(input_desc(input->spec), &TTSOpsVirtual);
		input->projection = ExecBuildProjectionInfo(input->computed, input->context, input->result,
													NULL, input->slot->tts_tupleDescriptor);
	}
	MemoryContextSwitchTo(old);
}

/* Points the slot at a row. */
static inline void
point_at(RowInput *input, const RowBatch *rows, int row)
{
	TupleTableSlot *slot = input->slot;

	slot->tts_values = row_values(rows, row);
	slot->tts_isnull = row_isnull(rows, row);
	slot->tts_nvalid = rows->natts;
	slot->tts_flags &= ~TTS_FLAG_EMPTY;
}

/* Computes the input columns of the row that the slot points at. */
static inline void
compute_inputs(RowInput *input, const Datum *source, const bool *source_null,
			   Datum *values, bool *isnull)
{
	for (int i = 0; i < input->nplain; i++)
	{
		PlainColumn column = input->plain[i];

		values[column.input] = source[column.source];
		isnull[column.input] = source_null[column.source];
	}
	for (int i = 0; i < input->nconstants; i++)
	{
		ConstantColumn column = input->constant[i];

		values[column.input] = column.value->constvalue;
		isnull[column.input] = column.value->constisnull;
	}
	if (input->start != NULL)
	{
		WindowStart *start = input->start;
		bool		none = source_null[start->source];

		isnull[start->input] = none;
		values[start->input] = none ? (Datum) 0 :
			window_start_of(start, input->context, source[start->source]);
	}
	if (input->projection != NULL)
	{
		input->result->tts_values = values;
		input->result->tts_isnull = isnull;
		ExecProject(input->projection);
	}
}

/* Does WHERE take the row that the slot points at? */
static inline bool
row_counts(RowInput *input)
{
	for (int i = 0; i < input->nrequired; i++)
		if (input->slot->tts_isnull[input->required[i]])
			return false;
	return input->where == NULL || ExecQual(input->where, input->context);
}

/* Takes rows into a chunk: see the header. */
int
row_input_fill(RowInput *input, const RowBatch *rows, int *next, FoldChunk *chunk, char *fate)
{
	int			filtered = 0;
	int			ninputs = chunk->ninputs;

	if (unlikely(input->source_desc != rows->desc))
		set_shape(input, rows->desc);
	if (input->start != NULL)
		window_start_check_zone(input->start);
	ResetExprContext(input->context);

	chunk->nrows = 0;
	for (; *next < rows->nrows && chunk->nrows < FOLD_CHUNK_ROWS; (*next)++)
	{
		int			row = *next;
		int			at = chunk->nrows * ninputs;

		if (unlikely(rows->skip != NULL && rows->skip[row]))
		{
			fate[row] = 'n';
			continue;
		}
		point_at(input, rows, row);
		if (!row_counts(input))
		{
			fate[row] = 'f';
			filtered++;
			continue;
		}
		compute_inputs(input, input->slot->tts_values, input->slot->tts_isnull,
					   chunk->values + at, chunk->isnull + at);
		chunk->input[chunk->nrows] = at;
		chunk->row[chunk->nrows] = row;
		chunk->nrows++;
	}
	return filtered;
}

/* The event time of one row. */
Datum
row_input_time(RowInput *input, const RowBatch *rows, int row, bool *isnull)
{
	point_at(input, rows, row);
	return ExecEvalExprSwitchContext(input->time, input->context, isnull);
}
