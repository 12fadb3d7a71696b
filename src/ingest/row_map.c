/*
 * row_map.c
 *		A topic's row to the target's.
 *
 * Compiled when the pipeline loads: for each column of the target either the
 * number of the topic's column it is copied from, or an expression over the topic's
 * row (a cast, a default).  Generated columns are left to the store, which computes
 * them as INSERT does.  The decoder writes straight into the source slot, so a
 * column of the same type costs one copy of a Datum.
 *
 * Everything here runs as the target's owner.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "ingest/filter.h"
#include "ingest/row_map.h"

/* One column of the target that is filled. */
typedef struct MapStep
{
	int			target;			/* from 0 */
	int			source;			/* from 0; unused with an expression */
	ExprState  *expression;		/* NULL: copy */
} MapStep;

struct RowMap
{
	int			natts;			/* of the target */
	int			nsteps;
	MapStep    *steps;
	ExprState  *filter;			/* NULL: all rows */
	ExprContext *econtext;
	TupleTableSlot *source;
	Bitmapset  *columns;
	List	   *parts;			/* of PlanInvalItem: functions and domains that are compiled in */
	bool		is_volatile;
};

/* The topic's column of that name, NULL when it has none. */
static const TopicColumn *
column_named(const Topic *topic, const char *name)
{
	for (int i = 0; i < topic->ncolumns; i++)
		if (strcmp(topic->columns[i].name, name) == 0)
			return &topic->columns[i];
	return NULL;
}

/* The value of `column` as the target's attribute takes it: the Var itself when nothing is to do. */
static Node *
assigned(const Topic *topic, const TopicColumn *column, Form_pg_attribute att)
{
	Form_pg_attribute from = TupleDescAttr(topic->desc, column->attnum - 1);
	Node	   *var = (Node *) makeVar(1, column->attnum, from->atttypid, from->atttypmod, from->attcollation, 0);
	Node	   *value = coerce_to_target_type(NULL, var, from->atttypid, att->atttypid, att->atttypmod,
											  COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of the target is of type %s but the topic's column is of type %s",
						NameStr(att->attname), format_type_be(att->atttypid), format_type_be(from->atttypid)),
				 errhint("Give both columns the same type, or create an assignment cast.")));
	return value;
}

/* The default of a column that the topic does not fill, NULL when it stays empty. */
static Node *
default_of(Relation target, Form_pg_attribute att)
{
	Node	   *value = build_column_default(target, att->attnum);

	if (value == NULL && get_typtype(att->atttypid) == TYPTYPE_DOMAIN)
	{
		Oid			base = getBaseType(att->atttypid);

		value = coerce_to_domain((Node *) makeNullConst(base, -1, get_typcollation(base)),
								 base, -1, att->atttypid, COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1, false);
	}
	if (value == NULL && att->attnotnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"%s\" of the target is NOT NULL, and nothing fills it", NameStr(att->attname)),
				 errhint("Add a column of that name to the topic's table, or give the target's column a default.")));
	return value;
}

/* An expression made ready to be compiled, noting what it is made of. */
static Expr *
planned(RowMap *map, Expr *expression)
{
	List	   *relations;		/* none: there are no subqueries */
	List	   *parts;

	expression = expression_planner_with_deps(expression, &relations, &parts);
	map->parts = list_concat(map->parts, parts);
	return expression;
}

/* Adds the step that fills one column of the target. */
static void
map_column(RowMap *map, const Topic *topic, Relation target, Form_pg_attribute att)
{
	const TopicColumn *column = column_named(topic, NameStr(att->attname));
	Node	   *value = column != NULL ? assigned(topic, column, att) : default_of(target, att);
	MapStep    *step;

	if (value == NULL)
		return;
	step = &map->steps[map->nsteps++];
	step->target = att->attnum - 1;
	if (column != NULL)
	{
		map->columns = bms_add_member(map->columns, column->attnum);
		step->source = column->attnum - 1;
		if (IsA(value, Var))
			return;
	}
	map->is_volatile |= contain_volatile_functions_not_nextval(value);
	step->expression = ExecInitExpr(planned(map, (Expr *) value), NULL);
}

/* Compiles the filter and notes the columns that it reads. */
static void
map_filter(RowMap *map, const Topic *topic, const char *text)
{
	Expr	   *filter = filter_analyse(text, topic->relid);
	Bitmapset  *read = NULL;
	int			member = -1;

	pull_varattnos((Node *) filter, 1, &read);
	while ((member = bms_next_member(read, member)) >= 0)
		if (member + FirstLowInvalidHeapAttributeNumber > 0)
			map->columns = bms_add_member(map->columns, member + FirstLowInvalidHeapAttributeNumber);
	map->filter = ExecInitQual(list_make1(planned(map, filter)), NULL);
}

RowMap *
row_map_create(const Topic *topic, Relation target, const char *filter)
{
	RowMap	   *map = palloc0(sizeof(RowMap));
	TupleDesc	desc = RelationGetDescr(target);

	map->natts = desc->natts;
	map->steps = palloc0(sizeof(MapStep) * Max(desc->natts, 1));
	map->econtext = CreateStandaloneExprContext();
	map->source = MakeSingleTupleTableSlot(topic->desc, &TTSOpsVirtual);
	map->econtext->ecxt_scantuple = map->source;
	memset(map->source->tts_isnull, true, topic->desc->natts);
	ExecStoreVirtualTuple(map->source);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->attgenerated == '\0')
			map_column(map, topic, target, att);
	}
	if (map->columns == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("the topic and the target have no column in common"),
				 errhint("Columns are matched by name: CREATE TABLE ... (LIKE topic) makes a fitting target.")));
	if (filter != NULL)
		map_filter(map, topic, filter);
	return map;
}

Bitmapset *
row_map_columns(const RowMap *map)
{
	return map->columns;
}

const List *
row_map_parts(const RowMap *map)
{
	return map->parts;
}

bool
row_map_volatile(const RowMap *map)
{
	return map->is_volatile;
}

TupleTableSlot *
row_map_source(const RowMap *map)
{
	return map->source;
}

bool
row_map_wanted(RowMap *map)
{
	return map->filter == NULL || ExecQual(map->filter, map->econtext);
}

void
row_map_apply(RowMap *map, Datum *values, bool *isnull)
{
	const Datum *from = map->source->tts_values;
	const bool *from_null = map->source->tts_isnull;

	memset(isnull, true, map->natts);
	for (int i = 0; i < map->nsteps; i++)
	{
		const MapStep *step = &map->steps[i];

		if (step->expression == NULL)
		{
			values[step->target] = from[step->source];
			isnull[step->target] = from_null[step->source];
		}
		else
			values[step->target] = ExecEvalExpr(step->expression, map->econtext, &isnull[step->target]);
	}
}
