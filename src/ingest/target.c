/*
 * target.c
 *		Writing rows into the target as COPY would.
 *
 * In: a batch of rows in the target's layout.  Out: the same rows in the table,
 * routed to their partitions, with indexes and triggers served; those that a
 * constraint or trigger turned down are marked, not thrown, because an error costs
 * the whole attempt.  What only the server itself can find (a duplicate key, a
 * trigger's exception) still throws, with *current at the row.
 *
 * The executor's public functions do the work, in the order of CopyFrom():
 * route, BEFORE ROW triggers, generated columns, constraints, insert, indexes, AFTER
 * ROW triggers.  Rows of one partition are inserted together, a page at a time,
 * unless code of the user's might look at the table in between (BEFORE ROW
 * triggers, volatile defaults): then one by one.
 *
 * Locks: RowExclusiveLock on table and partitions until the transaction ends.
 * Memory: everything lives in one context for the transaction, but for the slots of
 * the target's own layout, which the caller's pool keeps; an abort needs no call, the
 * executor's resources go with the transaction.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "compat.h"
#include "ingest/target.h"

/* A compiled CHECK constraint. */
typedef struct LeafCheck
{
	char	   *name;
	ExprState  *state;
} LeafCheck;

/* A relation that rows go to: the target, or a partition of it. */
typedef struct Leaf
{
	ResultRelInfo *info;
	BulkInsertState bulk;
	bool		one_by_one;
	bool		rewrites;		/* triggers or generated columns change the row */
	bool		own_layout;		/* columns stand otherwise than in the target: slots of its own */
	bool		partition_check;
	bool		has_not_null;
	int			nchecks;
	LeafCheck  *checks;
	int			nmade;			/* slots of its own layout made so far */
	int			nused;			/* slots holding rows of this batch */
	int			nflushed;		/* of those, already in the table */
	TupleTableSlot **slots;
	int		   *rows;			/* row of the batch in each used slot */
} Leaf;

struct Target
{
	MemoryContext context;
	SlotPool   *pool;
	bool		one_by_one;
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *root;
	ModifyTableState *mtstate;
	PartitionTupleRouting *routing; /* NULL: not partitioned */
	TransitionCaptureState *capture;
	TupleTableSlot *root_slot;	/* a row in the target's own layout */
	CommandId	command;
	List	   *leaves;
	Leaf	   *last;			/* the one the last row went to */
};

/* Whether the relation has row triggers before INSERT. */
static bool
has_before_row(const ResultRelInfo *info)
{
	return info->ri_TrigDesc != NULL &&
		(info->ri_TrigDesc->trig_insert_before_row || info->ri_TrigDesc->trig_insert_instead_row);
}

/* Compiles the CHECK constraints of a leaf. */
static void
leaf_compile_checks(Leaf *leaf, EState *estate)
{
	Relation	rel = leaf->info->ri_RelationDesc;
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	if (constr == NULL)
		return;
	leaf->has_not_null = constr->has_not_null;
	leaf->checks = palloc0(sizeof(LeafCheck) * Max(constr->num_check, 1));
	for (int i = 0; i < constr->num_check; i++)
	{
		Node	   *check = stringToNode(constr->check[i].ccbin);

		if (!check_is_enforced(&constr->check[i]))
			continue;
		check = expand_generated_columns_in_expr(check, rel, 1);
		leaf->checks[leaf->nchecks].name = constr->check[i].ccname;
		leaf->checks[leaf->nchecks++].state = ExecPrepareExpr((Expr *) check, estate);
	}
}

/* Makes the leaf of a relation met for the first time in this transaction. */
static Leaf *
leaf_create(Target *target, ResultRelInfo *info)
{
	MemoryContext before = MemoryContextSwitchTo(target->context);
	Relation	rel = info->ri_RelationDesc;
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	Leaf	   *leaf = palloc0(sizeof(Leaf));

	if (rel->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot ingest into partition \"%s\"", RelationGetRelationName(rel)),
				 errdetail("It is not an ordinary table.")));
	leaf->info = info;
	leaf->one_by_one = target->one_by_one || has_before_row(info) ||
		(target->capture != NULL && target->routing != NULL);
	leaf->rewrites = has_before_row(info) || (constr != NULL && constr->has_generated_stored);
	leaf->partition_check = rel->rd_rel->relispartition && (target->routing == NULL || has_before_row(info));
	leaf->bulk = GetBulkInsertState();
	if (target->pool->ops == NULL)
		target->pool->ops = table_slot_callbacks(rel);
	leaf->own_layout = target->routing != NULL && ExecGetRootToChildMap(info, target->estate) != NULL;
	if (!leaf->own_layout && table_slot_callbacks(rel) != target->pool->ops)
		leaf->own_layout = true;
	leaf->slots = palloc(sizeof(TupleTableSlot *) * target->pool->capacity);
	leaf->rows = palloc(sizeof(int) * target->pool->capacity);
	leaf_compile_checks(leaf, target->estate);
	target->leaves = lappend(target->leaves, leaf);
	MemoryContextSwitchTo(before);
	return leaf;
}

/* The leaf of a relation. */
static Leaf *
leaf_of(Target *target, ResultRelInfo *info)
{
	ListCell   *lc;

	if (target->last != NULL && target->last->info == info)
		return target->last;
	foreach(lc, target->leaves)
		if (((Leaf *) lfirst(lc))->info == info)
			return target->last = lfirst(lc);
	return target->last = leaf_create(target, info);
}

SlotPool *
slot_pool_create(TupleDesc desc, int capacity)
{
	SlotPool   *pool = palloc0(sizeof(SlotPool));

	pool->context = CurrentMemoryContext;
	pool->desc = desc;
	pool->capacity = capacity;
	pool->slots = palloc(sizeof(TupleTableSlot *) * capacity);
	return pool;
}

/* The pool's next free slot. */
static TupleTableSlot *
pool_slot(SlotPool *pool)
{
	if (pool->nused == pool->nslots)
	{
		MemoryContext before = MemoryContextSwitchTo(pool->context);

		pool->slots[pool->nslots++] = MakeTupleTableSlot(pool->desc, pool->ops);
		MemoryContextSwitchTo(before);
	}
	return pool->slots[pool->nused++];
}

/* The leaf's next free slot, empty; it counts once the row is in its queue. */
static TupleTableSlot *
leaf_slot(Target *target, Leaf *leaf)
{
	int			i = leaf->nused;

	if (!leaf->own_layout)
		leaf->slots[i] = pool_slot(target->pool);
	else if (i == leaf->nmade)
	{
		MemoryContext before = MemoryContextSwitchTo(target->context);

		leaf->slots[leaf->nmade++] = table_slot_create(leaf->info->ri_RelationDesc,
													   &target->estate->es_tupleTable);
		MemoryContextSwitchTo(before);
	}
	return ExecClearTuple(leaf->slots[i]);
}

/* Points a slot of the same layout at a row of the batch. */
static void
slot_take_row(TupleTableSlot *slot, const RowBatch *rows, int row)
{
	memcpy(slot->tts_values, row_values(rows, row), rows->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, row_isnull(rows, row), rows->natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
}

/* Finds where a row goes and puts it into a slot of that leaf. */
static Leaf *
route_row(Target *target, const RowBatch *rows, int row, TupleTableSlot **slot)
{
	ResultRelInfo *info = target->root;
	TupleConversionMap *map = NULL;
	Leaf	   *leaf;

	if (target->routing != NULL)
	{
		slot_take_row(ExecClearTuple(target->root_slot), rows, row);
		info = ExecFindPartition(target->mtstate, target->root, target->routing,
								 target->root_slot, target->estate);
		map = ExecGetRootToChildMap(info, target->estate);
		if (target->capture != NULL)
			target->capture->tcs_original_insert_tuple = has_before_row(info) ? NULL : target->root_slot;
	}
	leaf = leaf_of(target, info);
	*slot = leaf_slot(target, leaf);
	if (map != NULL)
		*slot = execute_attr_map_slot(map->attrMap, target->root_slot, *slot);
	else
		slot_take_row(*slot, rows, row);
	(*slot)->tts_tableOid = RelationGetRelid(info->ri_RelationDesc);
	return leaf;
}

/* The batch's row becomes what triggers and generated columns made of it. */
static void
take_back_row(Target *target, Leaf *leaf, TupleTableSlot *slot, RowBatch *rows, int row)
{
	TupleConversionMap *map = target->routing != NULL ? ExecGetChildToRootMap(leaf->info) : NULL;

	if (map != NULL)
		slot = execute_attr_map_slot(map->attrMap, slot, target->root_slot);
	slot_getallattrs(slot);
	memcpy(row_values(rows, row), slot->tts_values, rows->natts * sizeof(Datum));
	memcpy(row_isnull(rows, row), slot->tts_isnull, rows->natts * sizeof(bool));
}

/* Fills in a refusal of stage store. */
static bool
refuse(Refusal *refusal, int sqlstate, char *message, const char *column)
{
	memset(refusal, 0, sizeof(*refusal));
	refusal->sqlstate = sqlstate;
	refusal->stage = "store";
	refusal->message = message;
	refusal->column = column != NULL ? pstrdup(column) : NULL;
	return false;
}

/* The first NOT NULL column that is null, -1 when there is none. */
static int
null_column(Leaf *leaf, TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;

	for (int i = 0; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attnotnull && slot_attisnull(slot, i + 1))
			return i;
	return -1;
}

/* Whether the row satisfies every constraint of its leaf; the refusal says which one not. */
static bool
leaf_accepts(Target *target, Leaf *leaf, TupleTableSlot *slot, Refusal *refusal)
{
	ExprContext *econtext = GetPerTupleExprContext(target->estate);
	const char *table = RelationGetRelationName(leaf->info->ri_RelationDesc);
	int			empty = leaf->has_not_null ? null_column(leaf, slot) : -1;

	if (empty >= 0)
	{
		const char *column = NameStr(TupleDescAttr(slot->tts_tupleDescriptor, empty)->attname);

		return refuse(refusal, ERRCODE_NOT_NULL_VIOLATION,
					  psprintf("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
							   column, table), column);
	}
	econtext->ecxt_scantuple = slot;
	for (int i = 0; i < leaf->nchecks; i++)
		if (!ExecCheck(leaf->checks[i].state, econtext))
			return refuse(refusal, ERRCODE_CHECK_VIOLATION,
						  psprintf("new row for relation \"%s\" violates check constraint \"%s\"",
								   table, leaf->checks[i].name), NULL);
	if (leaf->partition_check && !ExecPartitionCheck(leaf->info, slot, target->estate, false))
		return refuse(refusal, ERRCODE_CHECK_VIOLATION,
					  psprintf("new row for relation \"%s\" violates partition constraint", table), NULL);
	return true;
}

/* Index entries and AFTER ROW events of a row that is in the table. */
static void
row_stored(Target *target, Leaf *leaf, TupleTableSlot *slot)
{
	List	   *recheck = NIL;

	if (leaf->info->ri_NumIndices > 0)
		recheck = ExecInsertIndexTuples(leaf->info, slot, target->estate, false, false, NULL, NIL, false);
	if (leaf->info->ri_TrigDesc != NULL || target->capture != NULL)
		ExecARInsertTriggers(target->estate, leaf->info, slot, recheck, target->capture);
	list_free(recheck);
}

/* Inserts what waits for one leaf. */
static void
leaf_flush(Target *target, Leaf *leaf, int *current)
{
	int			first = leaf->nflushed;
	int			n = leaf->nused - first;

	if (n == 0)
		return;
	leaf->nflushed = leaf->nused;
	*current = n == 1 ? leaf->rows[first] : -1;
	table_multi_insert(leaf->info->ri_RelationDesc, leaf->slots + first, n, target->command, 0, leaf->bulk);
	if (leaf->info->ri_NumIndices == 0 && leaf->info->ri_TrigDesc == NULL && target->capture == NULL)
		return;
	for (int i = first; i < leaf->nused; i++)
	{
		*current = leaf->rows[i];
		row_stored(target, leaf, leaf->slots[i]);
	}
}

/* Inserts what waits for any leaf. */
static void
flush_all(Target *target, int *current)
{
	ListCell   *lc;

	foreach(lc, target->leaves)
		leaf_flush(target, lfirst(lc), current);
}

/* Takes one row through triggers and constraints, and into the table or its leaf's queue. */
static RowFate
store_row(Target *target, RowBatch *rows, int row, Refusal *refusal, int *current)
{
	TupleTableSlot *slot;
	Leaf	   *leaf = route_row(target, rows, row, &slot);

	if (leaf->one_by_one)
	{
		int			at = *current;

		flush_all(target, current);
		*current = at;
	}
	if (leaf->rewrites)
	{
		TupleConstr *constr = RelationGetDescr(leaf->info->ri_RelationDesc)->constr;

		if (has_before_row(leaf->info) && !ExecBRInsertTriggers(target->estate, leaf->info, slot))
			return ROW_SKIPPED;
		if (constr != NULL && constr->has_generated_stored)
			ExecComputeStoredGenerated(leaf->info, target->estate, slot, CMD_INSERT);
		take_back_row(target, leaf, slot, rows, row);
	}
	if (!leaf_accepts(target, leaf, slot, refusal))
		return ROW_REFUSED;

	leaf->rows[leaf->nused++] = row;
	if (leaf->one_by_one)
	{
		leaf->nflushed = leaf->nused;
		table_tuple_insert(leaf->info->ri_RelationDesc, slot, target->command, 0, NULL);
		row_stored(target, leaf, slot);
	}
	return ROW_STORED;
}

void
target_store(Target *target, RowBatch *rows, RowFate *fates, Refusal *refusals, int *current)
{
	MemoryContext before = MemoryContextSwitchTo(rows->context);
	ListCell   *lc;

	foreach(lc, target->leaves)
	{
		Leaf	   *leaf = lfirst(lc);

		leaf->nused = leaf->nflushed = 0;
	}
	target->pool->nused = 0;
	for (int row = 0; row < rows->nrows; row++)
	{
		*current = row;
		ResetPerTupleExprContext(target->estate);
		fates[row] = store_row(target, rows, row, &refusals[row], current);
	}
	*current = -1;
	flush_all(target, current);
	*current = -1;
	MemoryContextSwitchTo(before);
}

void
target_nothing_deferred(void)
{
	ConstraintsSetStmt *all_immediate = makeNode(ConstraintsSetStmt);

	AfterTriggerSetState(all_immediate);
	pfree(all_immediate);
}

/* The executor's state for one INSERT into the relation. */
static void
begin_executor(Target *target, Oid relid)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RELATION;
	rte->relid = relid;
	rte->relkind = target->rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
	target->estate = CreateExecutorState();
	target->estate->es_output_cid = target->command;
	compat_init_range_table(target->estate, rte);

	target->root = makeNode(ResultRelInfo);
	ExecInitResultRelation(target->estate, target->root, 1);
	CheckValidResultRel(target->root, CMD_INSERT, ONCONFLICT_NONE, NIL);
	ExecOpenIndices(target->root, false);

	target->mtstate = makeNode(ModifyTableState);
	target->mtstate->ps.state = target->estate;
	target->mtstate->operation = CMD_INSERT;
	target->mtstate->mt_nrels = 1;
	target->mtstate->resultRelInfo = target->root;
	target->mtstate->rootResultRelInfo = target->root;
}

void
target_check_row_security(Relation target)
{
	const char *name = RelationGetRelationName(target);

	if (check_enable_rls(RelationGetRelid(target), target->rd_rel->relowner, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot ingest into table \"%s\": row-level security applies to its owner", name),
				 errhint("ALTER TABLE %s NO FORCE ROW LEVEL SECURITY.", quote_identifier(name))));
}

Target *
target_begin(Oid relid, SlotPool *pool, bool one_by_one)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "deltaflow target", ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	Target	   *target = palloc0(sizeof(Target));

	target->context = context;
	target->pool = pool;
	target->one_by_one = one_by_one;
	target->rel = table_open(relid, RowExclusiveLock);
	target_check_row_security(target->rel);
	target->command = GetCurrentCommandId(true);
	begin_executor(target, relid);
	if (target->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		target->routing = ExecSetupPartitionTupleRouting(target->estate, target->rel);
	target->root_slot = MakeSingleTupleTableSlot(RelationGetDescr(target->rel), &TTSOpsVirtual);
	target->capture = target->mtstate->mt_transition_capture =
		MakeTransitionCaptureState(target->rel->trigdesc, relid, CMD_INSERT);

	AfterTriggerBeginQuery();
	ExecBSInsertTriggers(target->estate, target->root);
	MemoryContextSwitchTo(before);
	return target;
}

TupleDesc
target_columns(const Target *target)
{
	return RelationGetDescr(target->rel);
}

void
target_end(Target *target)
{
	MemoryContext before = MemoryContextSwitchTo(target->context);
	ListCell   *lc;

	foreach(lc, target->leaves)
	{
		Leaf	   *leaf = lfirst(lc);

		table_finish_bulk_insert(leaf->info->ri_RelationDesc, 0);
		FreeBulkInsertState(leaf->bulk);
	}
	ExecASInsertTriggers(target->estate, target->root, target->capture);
	AfterTriggerEndQuery(target->estate);

	ExecDropSingleTupleTableSlot(target->root_slot);
	ExecResetTupleTable(target->estate->es_tupleTable, false);
	if (target->routing != NULL)
		ExecCleanupTupleRouting(target->mtstate, target->routing);
	ExecCloseResultRelations(target->estate);
	ExecCloseRangeTableRelations(target->estate);
	FreeExecutorState(target->estate);
	table_close(target->rel, NoLock);
	MemoryContextSwitchTo(before);
	MemoryContextDelete(target->context);
}
