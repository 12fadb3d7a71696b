/*
 * run.c
 *		A view's definition over other rows: history, another table, another size.
 *
 * What comes in: a view, a range of event time, a table to write to, relations and
 * parameter values to put in the place of the definition's own.  What goes out: the
 * definition's answer over that range, in the place of what the target held for it.
 *
 *		definition -> flattened -> parameters -> range -> other source
 *					-> planner (parallel plans allowed)
 *					-> a new target: straight into it
 *					-> else: tuplestore -> DELETE the range, INSERT the rows
 *
 * The invariant: all of it is the caller's one transaction.  Cancelled or failed,
 * the target keeps its old rows; run again, it holds the same rows.  Two runs into
 * one target go one after the other (SHARE ROW EXCLUSIVE on the target, taken
 * before the definition runs).
 *
 * Rows for a table that was there before pass through a tuplestore because a plan that writes is never parallel,
 * and because INSERT then brings everything a table has: defaults, partitions,
 * triggers, constraints, row security.  Answers are small against what they sum up.
 *
 * The definition runs as the caller under the view's pinned settings; the write
 * happens under the caller's own.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "batch/batch.h"
#include "batch/batch_progress.h"
#include "batch/new_table.h"
#include "batch/substitute.h"
#include "compat.h"
#include "view/definition.h"

#define ROWS_NAME "deltaflow_batch_rows"

/* The definition as it is to be run, and the spec of what it means. */
typedef struct BatchQuery
{
	Query	   *query;
	ViewSpec   *spec;
	Oid			source;			/* what it reads */
} BatchQuery;

/* The condition that counts rows for deltaflow.progress. */
static Expr *
tick_condition(void)
{
	Oid			function = LookupFuncName(list_make2(makeString("deltaflow"), makeString("scan_tick")),
										  0, NULL, false);

	return (Expr *) makeFuncExpr(function, BOOLOID, NIL, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/* Makes the query of all steps above up to "other source". */
static BatchQuery
build_query(const ViewRow *view, const TimeRange *range, const SourceChange *change, Jsonb *params)
{
	Definition *definition;
	BatchQuery	batch;
	ViewRefusal *refusal = definition_flatten(view_definition(view->batch), &definition);
	List	   *conditions = list_make1(tick_condition());

	if (refusal == NULL)
	{
		definition = substitute_params(definition, params);
		refusal = definition_analyse(definition_copy(definition), &batch.spec);
	}
	if (refusal != NULL)
		view_refusal_raise(refusal);
	range_check(batch.spec, range);
	conditions = list_concat(conditions, range_over_definition(batch.spec, range));
	batch.source = source_after(change, definition->source_relid);
	batch.query = substitute_source(definition, conditions, batch.source);
	return batch;
}

/* Before the lock is taken: who may not replace rows does not make those wait who may. */
static void
check_target_privilege(const RangeVar *target, Oid relid, Oid old_relid, void *arg)
{
	AclResult	allowed;

	if (!OidIsValid(relid))
		return;
	allowed = pg_class_aclcheck(relid, GetUserId(), ACL_DELETE);
	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, get_relkind_objtype(get_rel_relkind(relid)), target->relname);
}

/* The relation named target, locked against other runs; made like the view's rows when absent (*created). */
static Oid
target_open(const char *name, const ViewRow *view, bool *created)
{
	RangeVar   *target = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));
	Oid			relid = RangeVarGetRelidExtended(target, ShareRowExclusiveLock, RVR_MISSING_OK, check_target_privilege, NULL);

	*created = !OidIsValid(relid);
	if (!*created)
		return relid;
	SPI_connect();
	SPI_execute(psprintf("CREATE TABLE %s (LIKE %s)",
						 quote_qualified_identifier(target->schemaname, target->relname),
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(view->batch)),
													get_rel_name(view->batch))),
				false, 0);
	SPI_finish();
	return RangeVarGetRelid(target, ShareRowExclusiveLock, false);
}

/* ERROR unless the target can take the view's rows. */
static void
target_check(Oid target, const ViewRow *view)
{
	char		kind = get_rel_relkind(target);
	Relation	batch = table_open(view->batch, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(batch);

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("cannot write to \"%s\"", get_rel_name(target)),
				errdetail("It is not a table."),
				errhint("Name a table, or one that does not exist yet."));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);
		AttrNumber	number = get_attnum(target, NameStr(column->attname));

		if (column->attisdropped)
			continue;
		if (number == InvalidAttrNumber || get_atttype(target, number) != column->atttypid)
			ereport(ERROR,
					errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("table \"%s\" cannot take the rows of view \"%s\"",
						   get_rel_name(target), get_rel_name(view->live)),
					errdetail("It has no column \"%s\" of type %s.",
							  NameStr(column->attname), format_type_be(column->atttypid)),
					errhint("Name a table that does not exist yet, and it is made with the view's columns."));
	}
	table_close(batch, NoLock);
}

/* Runs the query into a receiver; returns how many rows it got. */
static int64
execute(const BatchQuery *batch, DestReceiver *receiver)
{
	List	   *rewritten = QueryRewrite(batch->query);
	PlannedStmt *plan;
	QueryDesc  *run;
	int64		nrows;

	if (list_length(rewritten) != 1)
		elog(ERROR, "unexpected rewrite result of a definition");
	plan = pg_plan_query(linitial_node(Query, rewritten), "deltaflow.run", CURSOR_OPT_PARALLEL_OK, NULL);
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	run = CreateQueryDesc(plan, "deltaflow.run", GetActiveSnapshot(), InvalidSnapshot, receiver, NULL, NULL, 0);
	ExecutorStart(run, 0);
	ExecutorRun(run, ForwardScanDirection, 0);
	nrows = run->estate->es_processed;
	ExecutorFinish(run);
	ExecutorEnd(run);
	FreeQueryDesc(run);
	PopActiveSnapshot();
	receiver->rDestroy(receiver);
	return nrows;
}

/* A receiver that keeps the rows. */
static DestReceiver *
tuplestore_receiver(Tuplestorestate *rows)
{
	DestReceiver *receiver = CreateDestReceiver(DestTuplestore);

	SetTuplestoreDestReceiverParams(receiver, rows, CurrentMemoryContext, true, NULL, NULL);
	return receiver;
}

/* Whether a table that was just made is only that: an event trigger may have added to it. */
static bool
is_plain(Oid relid)
{
	Relation	relation = table_open(relid, NoLock);
	bool		plain = !relation->rd_rel->relhasindex && !relation->rd_rel->relhastriggers &&
		!relation->rd_rel->relhasrules && !relation->rd_rel->relrowsecurity && relation->rd_att->constr == NULL;

	table_close(relation, NoLock);
	return plain;
}

/* Makes the rows readable by SQL under ROWS_NAME; SPI is connected. */
static void
register_rows(const ViewRow *view, Tuplestorestate *rows)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

	relation->md.name = ROWS_NAME;
	relation->md.reliddesc = view->batch;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(rows);
	relation->reldata = rows;
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the rows of a batch");
}

/* The view's columns, for INSERT and SELECT. */
static char *
column_list(Oid relid)
{
	Relation	relation = table_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(relation);
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (!column->attisdropped)
			appendStringInfo(&text, "%s%s", text.len ? ", " : "", quote_identifier(NameStr(column->attname)));
	}
	table_close(relation, NoLock);
	return text.data;
}

/* In the target, the range's rows become these. */
static int64
replace_range(const ViewRow *view, Oid target, const char *condition, Tuplestorestate *rows)
{
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(target)),
												  get_rel_name(target));
	char	   *columns = column_list(view->batch);
	int64		written;

	SPI_connect();
	SPI_execute(psprintf("DELETE FROM %s%s", name, condition), false, 0);
	register_rows(view, rows);
	SPI_execute(psprintf("INSERT INTO %s (%s) SELECT %s FROM %s", name, columns, columns, ROWS_NAME), false, 0);
	written = SPI_processed;
	SPI_finish();
	return written;
}

/* Which rows of the target the range means, as a WHERE clause; ERROR when they cannot be told. */
static char *
target_condition(const ViewRow *view, const ViewSpec *spec, const TimeRange *range)
{
	char	   *condition = range_over_output(spec, range);

	if (!range->has_since && !range->has_until)
		return "";
	if (condition == NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("a range of view \"%s\" cannot be replaced in a table", get_rel_name(view->live)),
				errdetail("Its columns do not include the start of the window."),
				errhint("Add the window's expression to the definition's select list, or give null for since and until."));
	return condition;
}

/* What the planner thinks the source holds, -1 when it does not know. */
static double
estimated_rows(Oid relid)
{
	Relation	relation = table_open(relid, AccessShareLock);
	double		rows = relation->rd_rel->reltuples;

	table_close(relation, NoLock);
	return rows > 0 ? rows : -1;
}

int64
batch_run(const ViewRow *view, const char *target, const TimeRange *range, Jsonb *sources, Jsonb *params)
{
	SourceChange change = source_change(sources);
	bool		created;
	Oid			target_relid = target_open(target, view, &created);
	bool		direct = created && is_plain(target_relid);
	Tuplestorestate *rows = direct ? NULL : tuplestore_begin_heap(false, false, work_mem);
	Identity	before;
	BatchQuery	batch;
	char	   *condition;
	int64		written;

	target_check(target_relid, view);
	before = identity_become(GetUserId(), view->pinned);
	batch = build_query(view, range, &change, params);
	condition = target_condition(view, batch.spec, range);
	batch_progress_begin("run", view->live, estimated_rows(batch.source));
	written = execute(&batch, direct ? new_table_receiver(target_relid) : tuplestore_receiver(rows));
	identity_restore(before);
	if (!direct)
	{
		batch_progress_phase(PHASE_WRITING);
		written = replace_range(view, target_relid, condition, rows);
		tuplestore_end(rows);
	}
	batch_progress_end();
	return written;
}
