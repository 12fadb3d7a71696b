/*
 * row_check.c
 *		NOT NULL and CHECK constraints of the topic's foreign table, as values.
 *
 * PostgreSQL never enforces constraints of foreign tables on what they deliver;
 * here the deliverer does.  Only constraints whose columns are all decoded can be
 * judged, the others are left out.  A CHECK expression runs over a virtual slot
 * pointed at the row; the expression itself may throw.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "compat.h"
#include "format/codec.h"
#include "format/refusal.h"

typedef struct RowCheckStep
{
	char	   *name;
	ExprState  *state;
} RowCheckStep;

struct RowCheck
{
	char	   *relation;
	TupleDesc	desc;
	int			nnotnull;
	AttrNumber *notnull;		/* attribute numbers */
	int			nchecks;
	RowCheckStep *checks;
	ExprContext *econtext;
	TupleTableSlot *slot;
};

/* Attribute numbers of a CHECK expression; false when it reads more than columns. */
static bool
check_columns(Node *expression, Bitmapset **columns)
{
	Bitmapset  *shifted = NULL;
	int			member = -1;

	*columns = NULL;
	pull_varattnos(expression, 1, &shifted);
	while ((member = bms_next_member(shifted, member)) >= 0)
	{
		if (member + FirstLowInvalidHeapAttributeNumber <= 0)
			return false;		/* whole row, system columns: always all columns */
		*columns = bms_add_member(*columns, member + FirstLowInvalidHeapAttributeNumber);
	}
	return true;
}

/* Whether a constraint over these columns can be judged. */
static bool
judgeable(Node *expression, const Bitmapset *needed)
{
	Bitmapset  *columns;

	return needed == NULL ||
		(check_columns(expression, &columns) && bms_is_subset(columns, needed));
}

/* Compiles the CHECK constraints that can be judged. */
static void
compile_checks(RowCheck *check, const Bitmapset *needed)
{
	TupleConstr *constr = check->desc->constr;
	int			nchecks = constr ? constr->num_check : 0;

	check->checks = palloc0(sizeof(RowCheckStep) * (nchecks + 1));
	for (int i = 0; i < nchecks; i++)
	{
		Expr	   *expression = stringToNode(constr->check[i].ccbin);
		RowCheckStep *step;

		if (!check_is_enforced(&constr->check[i]) || !judgeable((Node *) expression, needed))
			continue;
		step = &check->checks[check->nchecks++];
		step->name = pstrdup(constr->check[i].ccname);
		step->state = ExecInitExpr(expression_planner(expression), NULL);
	}
	if (check->nchecks > 0)
	{
		check->econtext = CreateStandaloneExprContext();
		check->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(check->desc), &TTSOpsVirtual);
		check->econtext->ecxt_scantuple = check->slot;
	}
}

/* Collects the NOT NULL columns that are decoded. */
static void
compile_not_null(RowCheck *check, const Bitmapset *needed)
{
	check->notnull = palloc0(sizeof(AttrNumber) * (check->desc->natts + 1));
	for (int i = 0; i < check->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(check->desc, i);

		if (attribute->attnotnull && !attribute->attisdropped &&
			(needed == NULL || bms_is_member(i + 1, needed)))
			check->notnull[check->nnotnull++] = i + 1;
	}
}

/* NULL when nothing is to be checked. */
RowCheck *
row_check_create(const Topic *topic, const Bitmapset *needed)
{
	RowCheck   *check = palloc0(sizeof(RowCheck));

	check->relation = get_rel_name(topic->relid);
	check->desc = topic->desc;
	compile_not_null(check, needed);
	compile_checks(check, needed);
	return check->nnotnull + check->nchecks > 0 ? check : NULL;
}

/* Columns that the topic's constraints read. */
Bitmapset *
decoder_required(const Topic *topic)
{
	TupleConstr *constr = topic->desc->constr;
	Bitmapset  *required = NULL;

	for (int i = 0; i < topic->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(topic->desc, i);

		if (attribute->attnotnull && !attribute->attisdropped)
			required = bms_add_member(required, i + 1);
	}
	for (int i = 0; constr != NULL && i < constr->num_check; i++)
	{
		Bitmapset  *columns;

		if (!check_columns(stringToNode(constr->check[i].ccbin), &columns))
			columns = bms_add_range(NULL, 1, topic->desc->natts);
		required = bms_add_members(required, columns);
	}
	return required;
}

/* The refusal of a NULL, in core's words. */
static bool
refuse_null(const RowCheck *check, AttrNumber attnum, Refusal *refusal)
{
	const char *column = NameStr(TupleDescAttr(check->desc, attnum - 1)->attname);

	refuse_record(refusal, ERRCODE_NOT_NULL_VIOLATION, column,
				  "null value in column \"%s\" of relation \"%s\" violates not-null constraint",
				  column, check->relation ? check->relation : "");
	refusal->stage = "check";
	return false;
}

/* Evaluates the CHECK constraints over the row, in place. */
static bool
run_checks(RowCheck *check, Datum *values, bool *isnull, Refusal *refusal)
{
	TupleTableSlot *slot = check->slot;
	Datum	   *own_values = slot->tts_values;
	bool	   *own_isnull = slot->tts_isnull;
	int			failed = -1;

	ExecClearTuple(slot);
	slot->tts_values = values;
	slot->tts_isnull = isnull;
	ExecStoreVirtualTuple(slot);
	for (int i = 0; failed < 0 && i < check->nchecks; i++)
		if (!ExecCheck(check->checks[i].state, check->econtext))
			failed = i;
	ExecClearTuple(slot);
	slot->tts_values = own_values;
	slot->tts_isnull = own_isnull;
	ResetExprContext(check->econtext);
	if (failed < 0)
		return true;
	refuse_record(refusal, ERRCODE_CHECK_VIOLATION, NULL,
				  "new row for relation \"%s\" violates check constraint \"%s\"",
				  check->relation ? check->relation : "", check->checks[failed].name);
	refusal->stage = "check";
	return false;
}

/* A decoded row against the constraints. */
bool
row_check_run(RowCheck *check, Datum *values, bool *isnull, Refusal *refusal)
{
	for (int i = 0; i < check->nnotnull; i++)
		if (isnull[check->notnull[i] - 1])
			return refuse_null(check, check->notnull[i], refusal);
	return check->nchecks == 0 || run_checks(check, values, isnull, refusal);
}
