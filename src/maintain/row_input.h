/*
 * row_input.h
 *		A view's WHERE and input columns, computed straight from decoded rows.
 */
#ifndef DELTAFLOW_MAINTAIN_ROW_INPUT_H
#define DELTAFLOW_MAINTAIN_ROW_INPUT_H

#include "ingest/row_batch.h"
#include "maintain/aggregate_state.h"
#include "maintain/window_limit.h"
#include "view/view_spec.h"

typedef struct RowInput RowInput;

/* Compiles; lives in CurrentMemoryContext.  limits: of the view's windows, NULL: it has none. */
extern RowInput *row_input_create(const ViewSpec *spec, WindowLimits *limits);

/* Context of computed values, emptied by each row_input_fill. */
extern MemoryContext row_input_scratch(RowInput *input);

/*
 * Takes rows from *next on until the chunk is full or the batch is through.  Rows
 * that WHERE passes go to the chunk; fate[] of the others becomes 'f'.  *next is the
 * row being worked on all the while.  Returns how many rows WHERE stopped.
 */
extern int	row_input_fill(RowInput *input, const RowBatch *rows, int *next,
						   FoldChunk *chunk, char *fate);

/* The event time of one row. */
extern Datum row_input_time(RowInput *input, const RowBatch *rows, int row, bool *isnull);

#endif							/* DELTAFLOW_MAINTAIN_ROW_INPUT_H */
