/*
 * live_view_fill.c
 *		Filling a view from what is stored: a scan of the source, folded.
 *
 * In comes a relation (the source, a partition of it, another of its shape) and a
 * range; the server plans and runs SELECT of the columns that the view reads, so
 * tables, partitioned and foreign tables all work.  Its rows become batches, are
 * folded as live rows are, with no watermark, and written.
 *
 * Memory is bounded: when the cache is over its bound the groups so far are written
 * out.  Should rows for them come later, the stored part is combined then.
 *
 * The query is run as the current user, who must be allowed to read the source.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "maintain/live_view_state.h"

#define FILL_ROWS	1024

/* Where the scan's rows go. */
typedef struct FillReceiver
{
	DestReceiver pub;			/* first */
	LiveView   *view;
	RowBatch   *batch;
	int			ncolumns;		/* of the scan */
	int		   *column;			/* of the batch, for each of them */
	int64		nrows;
} FillReceiver;

/* Folds the batch, and writes when memory is short. */
static void
fold_batch(FillReceiver *fill)
{
	FoldResult	result;

	live_view_fold(fill->view, fill->batch, DT_NOBEGIN, NULL, &result);
	row_batch_reset(fill->batch);
	if (live_view_cache_bytes(fill->view) > fill->view->cache_bytes)
		(void) live_view_write(fill->view);
	CHECK_FOR_INTERRUPTS();
}

/* Takes a row of the scan. */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	FillReceiver *fill = (FillReceiver *) self;
	RowBatch   *batch = fill->batch;
	Datum	   *values = row_values(batch, batch->nrows);
	bool	   *isnull = row_isnull(batch, batch->nrows);
	MemoryContext old = MemoryContextSwitchTo(batch->context);

	slot_getallattrs(slot);
	for (int i = 0; i < fill->ncolumns; i++)
	{
		int			column = fill->column[i];
		Form_pg_attribute attribute = TupleDescAttr(batch->desc, column);

		isnull[column] = slot->tts_isnull[i];
		values[column] = isnull[column] ? (Datum) 0 :
			datumCopy(slot->tts_values[i], attribute->attbyval, attribute->attlen);
	}
	MemoryContextSwitchTo(old);

	batch->nrows++;
	fill->nrows++;
	if (batch->nrows == batch->capacity)
		fold_batch(fill);
	return true;
}

/* Nothing to prepare: columns were chosen before. */
static void
receive_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

/* Nothing to release: the fill owns everything. */
static void
receive_shutdown(DestReceiver *self)
{
}

/* Columns that the scan must give: those the view reads. */
static void
choose_columns(FillReceiver *fill, const Bitmapset *read)
{
	int			attnum = -1;

	fill->column = palloc(Max(bms_num_members(read), 1) * sizeof(int));
	while ((attnum = bms_next_member(read, attnum)) >= 0)
		fill->column[fill->ncolumns++] = attnum - 1;
}

/* SELECT of those columns FROM relid, by name: attribute numbers may differ there. */
static char *
scan_text(const FillReceiver *fill, Oid relid)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "SELECT ");
	for (int i = 0; i < fill->ncolumns; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(NameStr(TupleDescAttr(fill->batch->desc, fill->column[i])->attname)));
	appendStringInfo(&text, " FROM %s",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
												get_rel_name(relid)));
	return text.data;
}

typedef struct RenumberContext
{
	Oid			from;
	Oid			to;
} RenumberContext;

/* Replaces Vars of the view's source by those of the same name in another relation. */
static Node *
renumber_vars(Node *node, void *arg)
{
	RenumberContext *context = arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varattno > 0)
	{
		Var		   *var = copyObject((Var *) node);

		var->varattno = get_attnum(context->to, get_attname(context->from, var->varattno, false));
		var->varattnosyn = var->varattno;
		return (Node *) var;
	}
	return expression_tree_mutator(node, renumber_vars, arg);
}

/* A query's text analysed. */
static Query *
analysed(const char *text, QueryEnvironment *environment)
{
	List	   *raw = pg_parse_query(text);

	return linitial_node(Query, pg_analyze_and_rewrite_fixedparams(linitial_node(RawStmt, raw),
																   text, NULL, 0, environment));
}

/* The analysed query: columns FROM relation WHERE range. */
static Query *
scan_query(const FillReceiver *fill, Oid relid, Expr *range)
{
	Query	   *query = analysed(scan_text(fill, relid), NULL);

	if (range != NULL)
	{
		RenumberContext context = {fill->view->spec->source_relid, relid};
		Node	   *qual = (Node *) copyObject(range);

		if (context.from != context.to)
			qual = renumber_vars(qual, &context);
		query->jointree->quals = make_and_qual(query->jointree->quals, qual);
	}
	return query;
}

/* Runs the scan into the receiver. */
static void
run_scan(FillReceiver *fill, Query *scan, QueryEnvironment *environment)
{
	PlannedStmt *plan = pg_plan_query(scan, NULL, 0, NULL);
	QueryDesc  *query;

	/* everything committed, as the state table is read (state_table.c) */
	PushActiveSnapshot(GetLatestSnapshot());
	query = CreateQueryDesc(plan, "", GetActiveSnapshot(), InvalidSnapshot,
							&fill->pub, NULL, environment, 0);
	ExecutorStart(query, 0);
	ExecutorRun(query, ForwardScanDirection, 0);
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
	PopActiveSnapshot();
}

/* Fills the view from a relation, or from a query. */
static int64
fill_view(LiveView *view, Oid source_relid, Expr *range, const char *sql, QueryEnvironment *environment)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "deltaflow fill",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Relation	source = table_open(view->spec->source_relid, AccessShareLock);
	FillReceiver fill = {
		.pub = {receive_row, receive_startup, receive_shutdown, receive_shutdown, DestNone},
		.view = view,
	};

	fill.batch = row_batch_create(CreateTupleDescCopy(RelationGetDescr(source)), FILL_ROWS);
	table_close(source, NoLock);
	choose_columns(&fill, view->spec->source_columns);
	run_scan(&fill, sql != NULL ? analysed(sql, environment) : scan_query(&fill, source_relid, range), environment);
	if (fill.batch->nrows > 0)
		fold_batch(&fill);
	(void) live_view_write(view);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return fill.nrows;
}

/* Fills the view: see the header. */
int64
live_view_fill(LiveView *view, Oid source_relid, Expr *range)
{
	return fill_view(view, source_relid, range, NULL, NULL);
}

/* Fills the view: see the header. */
int64
live_view_fill_query(LiveView *view, const char *sql, QueryEnvironment *environment)
{
	return fill_view(view, InvalidOid, NULL, sql, environment);
}
