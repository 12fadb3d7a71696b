/*
 * modify.c
 *		INSERT and COPY into a topic.
 *
 * In goes a row of the foreign table, out goes a record: the format's encoder
 * makes key, value, headers and partition of it, the producer queues it.  The
 * statement ends when the broker has acknowledged every record, or fails.
 *
 * Invariant: nothing produced can be taken back.  A statement that fails, or a
 * transaction rolled back, leaves the records it had produced: at least once,
 * as the documentation says.
 *
 * The server does not check constraints of foreign tables, so check_row() does:
 * NOT NULL and CHECK.  The broker gives offset, timestamp and topic, and usually
 * the partition: NOT NULL of those columns is true of what will be read, and a
 * value for the first three is refused.
 *
 * Memory: the producer and the rest live in the query's context, which closes it
 * on error; what the encoder makes lives in row_context until the next row.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "fdw/bounded_read.h"
#include "fdw/routine.h"
#include "fdw/topic_option.h"
#include "format/format.h"
#include "kafka/producer.h"

/* One topic being written by one statement; in ri_FdwState. */
typedef struct TopicInsert
{
	Topic	   *topic;
	Encoder    *encoder;
	KafkaProducer *producer;
	ExprState **checks;			/* by number of the CHECK constraint; NULL: not enforced */
	MemoryContext row_context;
} TopicInsert;

/* Prepares the CHECK constraints. */
static ExprState **
prepare_checks(const TupleConstr *constr, EState *estate)
{
	ExprState **checks;

	if (constr == NULL || constr->num_check == 0)
		return NULL;
	checks = palloc0(constr->num_check * sizeof(ExprState *));
	for (int i = 0; i < constr->num_check; i++)
		if (check_is_enforced(&constr->check[i]))
			checks[i] = ExecPrepareExpr(stringToNode(constr->check[i].ccbin), estate);
	return checks;
}

/*
 * The client's options, with the time a record may wait for its acknowledgement:
 * the library's five minutes are long for a statement whose broker is away.
 */
static KafkaProducer *
open_producer(const Topic *topic)
{
	KafkaOption *options = palloc((topic->noptions + 1) * sizeof(KafkaOption));
	int			n = topic->noptions;
	bool		given = false;

	for (int i = 0; i < n; i++)
	{
		options[i] = topic->options[i];
		if (strcmp(options[i].name, "message.timeout.ms") == 0 ||
			strcmp(options[i].name, "delivery.timeout.ms") == 0)
			given = true;
	}
	if (!given)
		options[n++] = (KafkaOption) {"message.timeout.ms", psprintf("%d", broker_timeout)};
	return producer_open(topic->name, options, n);
}

/* Opens what a statement needs to write to the topic. */
static void
open_insert(ResultRelInfo *info, EState *estate)
{
	TopicInsert *insert = palloc0(sizeof(TopicInsert));
	Relation	rel = info->ri_RelationDesc;
	Topic	   *topic = topic_load(RelationGetRelid(rel), ExecGetResultRelCheckAsUser(info, estate));

	insert->topic = topic;
	insert->encoder = encoder_create(topic);
	insert->checks = prepare_checks(RelationGetDescr(rel)->constr, estate);
	insert->row_context = AllocSetContextCreate(CurrentMemoryContext, "deltaflow row to a topic",
												ALLOCSET_DEFAULT_SIZES);
	insert->producer = open_producer(topic);
	info->ri_FdwState = insert;
}

/* Only INSERT is possible: a log is not changed. */
List *
topic_plan_modify(PlannerInfo *root, ModifyTable *plan, Index relation, int subplan)
{
	if (plan->operation != CMD_INSERT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot %s rows of a topic", plan->operation == CMD_UPDATE ? "update" : "delete"),
				 errdetail("The records of a topic cannot be changed, only added to."),
				 errhint("Use INSERT to produce a record that says what changed.")));
	return NIL;
}

void
topic_begin_modify(ModifyTableState *state, ResultRelInfo *info, List *fdw_private,
				   int subplan, int eflags)
{
	if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY))
		open_insert(info, state->ps.state);
}

/* COPY, and rows routed to a partition. */
void
topic_begin_insert(ModifyTableState *state, ResultRelInfo *info)
{
	MemoryContext old = MemoryContextSwitchTo(state->ps.state->es_query_cxt);

	open_insert(info, state->ps.state);
	MemoryContextSwitchTo(old);
}

/* Whether the broker sets such a column when the INSERT does not. */
static bool
is_set_by_broker(TopicColumnKind kind)
{
	return kind == COLUMN_PARTITION || kind == COLUMN_OFFSET ||
		kind == COLUMN_TIMESTAMP || kind == COLUMN_TOPIC;
}

/* NOT NULL of one column, and that the broker's own are left to it. */
static void
check_column(const TopicInsert *insert, Relation rel, const TopicColumn *column, bool isnull)
{
	bool		broker = is_set_by_broker(column->kind);

	if (!isnull && broker && column->kind != COLUMN_PARTITION)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("cannot set column \"%s\" of topic \"%s\"", column->name, insert->topic->name),
				 errdetail("The broker gives each record its %s.", column_kind_name(column->kind)),
				 errhint("Leave the column out of the INSERT.")));
	if (isnull && !broker && TupleDescAttr(RelationGetDescr(rel), column->attnum - 1)->attnotnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
						column->name, RelationGetRelationName(rel)),
				 errtablecol(rel, column->attnum)));
}

/* NOT NULL and CHECK constraints of the foreign table. */
static void
check_row(const TopicInsert *insert, Relation rel, TupleTableSlot *slot, EState *estate)
{
	const TupleConstr *constr = RelationGetDescr(rel)->constr;
	ExprContext *econtext = GetPerTupleExprContext(estate);

	for (int i = 0; i < insert->topic->ncolumns; i++)
	{
		const TopicColumn *column = &insert->topic->columns[i];

		check_column(insert, rel, column, slot->tts_isnull[column->attnum - 1]);
	}
	if (insert->checks == NULL)
		return;
	econtext->ecxt_scantuple = slot;
	for (int i = 0; i < constr->num_check; i++)
		if (insert->checks[i] != NULL && !ExecCheck(insert->checks[i], econtext))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("new row for relation \"%s\" violates check constraint \"%s\"",
							RelationGetRelationName(rel), constr->check[i].ccname),
					 errtableconstraint(rel, constr->check[i].ccname)));
}

TupleTableSlot *
topic_insert(EState *estate, ResultRelInfo *info, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	TopicInsert *insert = info->ri_FdwState;
	EncodedRecord record = {0};
	MemoryContext old;

	slot_getallattrs(slot);
	check_row(insert, info->ri_RelationDesc, slot, estate);

	MemoryContextReset(insert->row_context);
	old = MemoryContextSwitchTo(insert->row_context);
	encoder_encode(insert->encoder, slot->tts_values, slot->tts_isnull, &record);
	producer_send(insert->producer, record.partition, record.key, record.key_len,
				  record.value, record.value_len, record.headers, record.nheaders);
	MemoryContextSwitchTo(old);
	return slot;
}

/* The statement is over: every record must be acknowledged. */
void
topic_end_insert(EState *estate, ResultRelInfo *info)
{
	TopicInsert *insert = info->ri_FdwState;

	if (insert == NULL)
		return;					/* EXPLAIN */
	producer_flush(insert->producer);
	producer_close(insert->producer);
	MemoryContextDelete(insert->row_context);
	info->ri_FdwState = NULL;
}

int
topic_is_updatable(Relation rel)
{
	return 1 << CMD_INSERT;
}
