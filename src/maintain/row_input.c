/*
 * row_input.c
 *		A view's WHERE and input columns, computed straight from decoded rows.
 *
 * In come rows of a batch as arrays of datums; out goes a chunk of rows that WHERE
 * passed, each with its input columns (keys, filters, arguments).  There is no plan:
 * a virtual slot is pointed at each row and compiled expressions run over it.
 *
 *	column of the source		copied
 *	window start, see below		from the last row's, where its event time says it is the same
 *	anything else				one projection for all of them, straight into the chunk
 *
 * The start of a window is date_bin or date_trunc of the event time, and rows come
 * nearly in time order.  Where that function is monotonic in time (date_bin with
 * constants; date_trunc of a timestamp without zone), every time between two times
 * with the same start has that start too, so remembering the span of times seen to
 * give it saves most calls.
 *
 * Memory: compiled expressions live as long as the input; computed values in a
 * scratch context that is emptied per chunk, not per row.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "maintain/row_input.h"

/* An input column that is a column of the source. */
typedef struct PlainColumn
{
	int			input;
	int			source;			/* attnum - 1 */
} PlainColumn;

/* The window's start, remembered. */
typedef struct StartMemo
{
	int			input;			/* -1: not used */
	int			source;			/* column of the event time */
	ExprState  *start;
	bool		known;
	int64		first;			/* span of times seen to give `value` */
	int64		last;
	Datum		value;
} StartMemo;

struct RowInput
{
	const ViewSpec *spec;
	EState	   *estate;
	ExprContext *context;
	TupleTableSlot *slot;		/* pointed at the row; NULL until the first batch */
	TupleDesc	source_desc;	/* whose shape the slot has */
	TupleTableSlot *result;		/* pointed into the chunk */

	ExprState  *where;			/* NULL: all rows */
	ExprState  *time;			/* NULL: no window */
	ProjectionInfo *projection; /* NULL: nothing to compute */
	List	   *computed;		/* its target list */
	StartMemo	memo;
	int			nplain;
	PlainColumn *plain;
};

/* Prepares an expression as the planner would. */
static Expr *
planned(const Expr *expr)
{
	return expression_planner((Expr *) copyObject(expr));
}

/*
 * Can the window's start be remembered?  It must be monotonic in the event time, a
 * plain column, and depend on nothing else.
 */
static bool
start_is_monotonic(const ViewSpec *spec, Expr *start)
{
	FuncExpr   *call = (FuncExpr *) start;
	ListCell   *lc;
	int			at = 0;

	if (spec->window.kind != WINDOW_TUMBLING || !IsA(spec->window.time, Var) || !IsA(start, FuncExpr))
		return false;
	if (call->funcid != F_DATE_BIN_INTERVAL_TIMESTAMPTZ_TIMESTAMPTZ &&
		call->funcid != F_DATE_BIN_INTERVAL_TIMESTAMP_TIMESTAMP &&
		call->funcid != F_DATE_TRUNC_TEXT_TIMESTAMP)
		return false;
	foreach(lc, call->args)
	{
		/* the time is the second argument of each of them */
		if (at++ == 1 ? !equal(lfirst(lc), spec->window.time) : !IsA(lfirst(lc), Const))
			return false;
	}
	return true;
}

/* Sorts an input column into one of the three ways. */
static void
add_column(RowInput *input, TargetEntry *entry, int at)
{
	Expr	   *expr = planned(entry->expr);

	if (IsA(expr, Var) && ((Var *) expr)->varattno > 0)
	{
		input->plain[input->nplain].input = at;
		input->plain[input->nplain].source = ((Var *) expr)->varattno - 1;
		input->nplain++;
	}
	else if (input->memo.input < 0 && input->spec->window.kind != WINDOW_NONE &&
			 at == input->spec->keys[input->spec->window.key].input &&
			 start_is_monotonic(input->spec, expr))
	{
		input->memo.input = at;
		input->memo.source = ((Var *) input->spec->window.time)->varattno - 1;
		input->memo.start = ExecInitExpr(expr, NULL);
	}
	else
		input->computed = lappend(input->computed,
								  makeTargetEntry(expr, at + 1, NULL, false));
}

/* Compiles what can be before the shape of the rows is known. */
RowInput *
row_input_create(const ViewSpec *spec)
{
	RowInput   *input = palloc0(sizeof(RowInput));
	ListCell   *lc;
	int			at = 0;

	input->spec = spec;
	input->estate = CreateExecutorState();
	input->context = CreateExprContext(input->estate);
	input->memo.input = -1;
	input->plain = palloc0(Max(spec->ninputs, 1) * sizeof(PlainColumn));
	if (spec->where != NULL)
		input->where = ExecInitQual(make_ands_implicit(planned(spec->where)), NULL);
	if (spec->window.kind != WINDOW_NONE)
		input->time = ExecInitExpr(planned(spec->window.time), NULL);
	foreach(lc, spec->input_tlist)
		add_column(input, lfirst_node(TargetEntry, lc), at++);
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

/* The window's start of the row that the slot points at. */
static Datum
compute_start(RowInput *input, Datum time)
{
	StartMemo  *memo = &input->memo;
	int64		at = DatumGetInt64(time);
	bool		isnull;
	Datum		start = ExecEvalExprSwitchContext(memo->start, input->context, &isnull);

	Assert(!isnull);
	if (!memo->known || start != memo->value)
	{
		memo->known = true;
		memo->value = start;
		memo->first = at;
		memo->last = at;
	}
	else
	{
		memo->first = Min(memo->first, at);
		memo->last = Max(memo->last, at);
	}
	return start;
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
	if (input->memo.input >= 0)
	{
		StartMemo  *memo = &input->memo;
		Datum		time = source[memo->source];
		bool		none = source_null[memo->source];

		isnull[memo->input] = none;
		if (none)
			values[memo->input] = (Datum) 0;
		else if (memo->known &&
				 DatumGetInt64(time) >= memo->first && DatumGetInt64(time) <= memo->last)
			values[memo->input] = memo->value;
		else
			values[memo->input] = compute_start(input, time);
	}
	if (input->projection != NULL)
	{
		input->result->tts_values = values;
		input->result->tts_isnull = isnull;
		ExecProject(input->projection);
	}
}

/* Takes rows into a chunk: see the header. */
int
row_input_fill(RowInput *input, const RowBatch *rows, int *next, FoldChunk *chunk, char *fate)
{
	int			filtered = 0;
	int			ninputs = chunk->ninputs;

	if (unlikely(input->source_desc != rows->desc))
		set_shape(input, rows->desc);
	ResetExprContext(input->context);

	chunk->nrows = 0;
	for (; *next < rows->nrows && chunk->nrows < FOLD_CHUNK_ROWS; (*next)++)
	{
		int			row = *next;
		int			at = chunk->nrows * ninputs;

		point_at(input, rows, row);
		if (input->where != NULL && !ExecQual(input->where, input->context))
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
