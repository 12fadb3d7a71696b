/*
 * rules.c
 *		What a definition may not contain: one small function per rule.
 *
 * A rule looks at one thing and returns NULL or a refusal: what it is, why it cannot
 * be kept row by row, and what to write instead.  Nothing here raises an error, so
 * that DDL, explain and tests use the same words.  Expressions are judged in
 * volatility.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"

#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "compat.h"
#include "view/rules.h"
#include "view/session_window.h"

/* A rule about one query level. */
typedef ViewRefusal *(*QueryRule) (Query *query);

ViewRefusal *
refuse(int location, const char *message, const char *detail, const char *hint)
{
	ViewRefusal *refusal = palloc0(sizeof(ViewRefusal));

	refusal->sqlstate = ERRCODE_FEATURE_NOT_SUPPORTED;
	refusal->message = unconstify(char *, message);
	refusal->detail = unconstify(char *, detail);
	refusal->hint = unconstify(char *, hint);
	refusal->location = location;
	return refusal;
}

/* Raises a refusal; text: the definition that its location counts in, NULL when there is none. */
void
view_refusal_raise_at(const ViewRefusal *refusal, const char *text)
{
	bool		located = text != NULL && refusal->location >= 0;

	ereport(ERROR,
			(errcode(refusal->sqlstate),
			 errmsg_internal("%s", refusal->message),
			 refusal->detail ? errdetail_internal("%s", refusal->detail) : 0,
			 refusal->hint ? errhint("%s", refusal->hint) : 0,
			 located ? internalerrposition(pg_mbstrlen_with_len(text, refusal->location) + 1) : 0,
			 located ? internalerrquery(text) : 0));
	pg_unreachable();
}

void
view_refusal_raise(const ViewRefusal *refusal)
{
	view_refusal_raise_at(refusal, NULL);
}

/* ---- where things are ---- */

typedef struct FindTag
{
	NodeTag		tag;
	Node	   *found;
} FindTag;

static bool
find_tag_walker(Node *node, FindTag *find)
{
	if (node == NULL)
		return false;
	if (nodeTag(node) == find->tag)
	{
		find->found = node;
		return true;
	}
	return expression_tree_walker(node, find_tag_walker, find);
}

/* Location of the first node of a kind in a query level's own expressions. */
static int
location_of(Query *query, NodeTag tag)
{
	FindTag		find = {tag, NULL};

	(void) query_tree_walker(query, find_tag_walker, &find, QTW_IGNORE_RANGE_TABLE | QTW_IGNORE_CTE_SUBQUERIES);
	return find.found ? exprLocation(find.found) : -1;
}

/* ---- rules of every level ---- */

static ViewRefusal *
no_set_operation(Query *query)
{
	if (query->setOperations == NULL)
		return NULL;
	return refuse(-1, "UNION, INTERSECT and EXCEPT are not supported in the definition of a continuous view",
				  "The definition must read exactly one source.",
				  "Create one continuous view per branch and combine them in the query that reads.");
}

static ViewRefusal *
no_distinct(Query *query)
{
	if (query->distinctClause == NIL)
		return NULL;
	return refuse(-1, "DISTINCT is not supported in the definition of a continuous view",
				  "Which rows are distinct cannot be kept by folding.",
				  "List the columns in GROUP BY instead.");
}

static ViewRefusal *
no_limit(Query *query)
{
	Node	   *limit = query->limitCount ? query->limitCount : query->limitOffset;

	if (limit == NULL)
		return NULL;
	return refuse(exprLocation(limit), "LIMIT and OFFSET are not supported in the definition of a continuous view",
				  "Which rows they leave depends on all the others.",
				  "Put ORDER BY and LIMIT in the query that reads the live view.");
}

static ViewRefusal *
no_row_lock(Query *query)
{
	if (query->rowMarks == NIL)
		return NULL;
	return refuse(-1, "FOR UPDATE and FOR SHARE are not supported in the definition of a continuous view",
				  NULL, "Remove the locking clause.");
}

static ViewRefusal *
no_sublink(Query *query)
{
	if (!query->hasSubLinks)
		return NULL;
	return refuse(location_of(query, T_SubLink),
				  "subqueries in expressions are not supported in the definition of a continuous view",
				  "Their answer may change without a new row in the source.",
				  "Look the value up in the query that reads the live view.");
}

static ViewRefusal *
no_set_returning_function(Query *query)
{
	if (!query->hasTargetSRFs)
		return NULL;
	return refuse(-1, "set-returning functions are not supported in the definition of a continuous view",
				  "A row of the source must belong to exactly one group.",
				  "Expand the set in the query that reads the live view.");
}

static ViewRefusal *
no_modification(Query *query)
{
	if (!query->hasModifyingCTE)
		return NULL;
	return refuse(-1, "data-modifying statements are not supported in the definition of a continuous view",
				  NULL, "Use SELECT in common table expressions.");
}

/* ---- rules of the outermost level ---- */

/* At lower levels session_window.c judges them. */
static ViewRefusal *
no_window_function(Query *query)
{
	return query->hasWindowFuncs ? session_window_refuse_here(location_of(query, T_WindowFunc)) : NULL;
}

/* At lower levels an ORDER BY changes nothing and is ignored. */
static ViewRefusal *
no_order_by(Query *query)
{
	if (query->sortClause == NIL)
		return NULL;
	return refuse(exprLocation((Node *) get_sortgroupclause_tle(linitial_node(SortGroupClause, query->sortClause),
																query->targetList)->expr),
				  "ORDER BY is not supported in the definition of a continuous view",
				  "The live view is a set of groups without an order.",
				  "Put ORDER BY in the query that reads the live view.");
}

/* GROUP BY () alone is the global group and fine. */
static ViewRefusal *
no_grouping_sets(Query *query)
{
	GroupingSet *set;

	if (query->groupingSets == NIL)
		return NULL;
	set = linitial_node(GroupingSet, query->groupingSets);
	if (list_length(query->groupingSets) == 1 && set->kind == GROUPING_SET_EMPTY)
		return NULL;
	return refuse(set->location, "GROUPING SETS, ROLLUP and CUBE are not supported in the definition of a continuous view",
				  "A row of the source must belong to exactly one group.",
				  "Create one continuous view per grouping, or aggregate the finest one again in the query that reads.");
}

static ViewRefusal *
must_aggregate(Query *query)
{
	if (query->groupClause != NIL || query->hasAggs)
		return NULL;
	return refuse(-1, "definition of a continuous view must group or aggregate",
				  "It has neither GROUP BY nor an aggregate function.",
				  "Use an ordinary view for rows as they are, and ingest with a filter to store only some of them.");
}

/* ---- rules of lower levels ---- */

static ViewRefusal *
no_inner_aggregation(Query *query)
{
	if (query->groupClause == NIL && query->groupingSets == NIL && !query->hasAggs && query->havingQual == NULL)
		return NULL;
	return refuse(location_of(query, T_Aggref),
				  "aggregation in FROM is not supported in the definition of a continuous view",
				  "Views, common table expressions and subqueries in FROM may only select and filter.",
				  "Aggregate once in the definition, and again in the query that reads the live view.");
}

static const QueryRule every_level[] = {
	no_set_operation, no_modification, no_distinct, no_limit,
	no_row_lock, no_sublink, no_set_returning_function,
};
static const QueryRule outermost_level[] = {no_window_function, no_order_by, no_grouping_sets, must_aggregate};
static const QueryRule lower_levels[] = {no_inner_aggregation};

static ViewRefusal *
first_refusal(const QueryRule *rules, int n, Query *query)
{
	for (int i = 0; i < n; i++)
	{
		ViewRefusal *refusal = rules[i] (query);

		if (refusal != NULL)
			return refusal;
	}
	return NULL;
}

ViewRefusal *
refuse_query(Query *query, bool outermost)
{
	ViewRefusal *refusal = first_refusal(every_level, lengthof(every_level), query);

	if (refusal != NULL)
		return refusal;
	return outermost
		? first_refusal(outermost_level, lengthof(outermost_level), query)
		: first_refusal(lower_levels, lengthof(lower_levels), query);
}

/* ---- the relation ---- */

/* Kinds of relation that hold rows of a source, and plain views, which are expanded. */
static ViewRefusal *
refuse_relation_kind(Relation relation)
{
	const char *name = RelationGetRelationName(relation);

	switch (relation->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_FOREIGN_TABLE:
			return NULL;
		case RELKIND_VIEW:
			if (RelationIsSecurityView(relation))
				return refuse(-1, psprintf("view \"%s\" is a security barrier and cannot be expanded in the definition of a continuous view", name),
							  "Expanding it would let conditions of the definition see rows that the view hides.",
							  "Select from what the view reads, or from a view without security_barrier.");
			return NULL;
		default:
			return refuse(-1, psprintf("\"%s\" cannot be the source of a continuous view", name),
						  "It is neither a table, a topic nor a plain view over one.",
						  "Select from the target table of an ingest or from a topic.");
	}
}

ViewRefusal *
refuse_relation(Relation relation, const RangeTblEntry *rte)
{
	const char *name = RelationGetRelationName(relation);
	ViewRefusal *refusal = refuse_relation_kind(relation);

	if (refusal != NULL)
		return refusal;
	if (rte->tablesample != NULL)
		return refuse(rte->tablesample->repeatable ? exprLocation((Node *) rte->tablesample->repeatable) : -1,
					  "TABLESAMPLE is not supported in the definition of a continuous view",
					  "Which rows it takes does not follow from the rows.",
					  "Sample by a condition on a column, for example a hash of the key.");
	if (RelationGetRelid(relation) < FirstNormalObjectId)
		return refuse(-1, psprintf("system relation \"%s\" cannot be the source of a continuous view", name),
					  NULL, "Select from the target table of an ingest or from a topic.");
	if (relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		return refuse(-1, psprintf("temporary relation \"%s\" cannot be the source of a continuous view", name),
					  "Workers cannot see it.", "Use a permanent table.");
	if (relation->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		return refuse(-1, psprintf("unlogged table \"%s\" cannot be the source of a continuous view", name),
					  "A crash empties it but not the state of the view.",
					  "Make it permanent with ALTER TABLE ... SET LOGGED.");
	if (!rte->inh && has_subclass(RelationGetRelid(relation)))
		return refuse(-1, psprintf("ONLY \"%s\" is not supported in the definition of a continuous view", name),
					  "Rows that are stored in its children would be left out of the batch answer.",
					  "Select from the table without ONLY.");
	if (relation->rd_rel->relkind != RELKIND_VIEW &&
		check_enable_rls(RelationGetRelid(relation), InvalidOid, true) == RLS_ENABLED)
		return refuse(-1, psprintf("table \"%s\" has row-level security that applies to the owner of the view", name),
					  "The live view would count rows that the definition cannot see.",
					  "Let the owner of the table own the view, and put policies or conditions on what reads the live view.");
	return NULL;
}

ViewRefusal *
refuse_column(Oid relid, const Var *var)
{
	HeapTuple	tuple;
	bool		is_virtual;

	if (var->varattno == 0)
		return refuse(var->location, "whole-row references are not supported in the definition of a continuous view",
					  "The row's type changes with every column added.", "Name the columns.");
	if (var->varattno < 0)
		return refuse(var->location, "system columns are not supported in the definition of a continuous view",
					  "They are not part of the row that was ingested.",
					  "Declare a metadata column on the topic, for example part int OPTIONS (metadata 'partition').");
	if (!OidIsValid(relid))
		return NULL;

	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(var->varattno));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for attribute %d of relation %u", var->varattno, relid);
	is_virtual = ((Form_pg_attribute) GETSTRUCT(tuple))->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
	ReleaseSysCache(tuple);
	if (is_virtual)
		return refuse(var->location, psprintf("virtual generated column \"%s\" is not supported in the definition of a continuous view",
											  get_attname(relid, var->varattno, false)),
					  "It is not part of the row that was ingested.",
					  "Write its expression, or make the column STORED.");
	return NULL;
}

/* ---- aggregates and keys ---- */

/* Aggregates of pg_catalog whose result follows from the order of their input, whatever their combine functions. */
static const char *const ordered_by_input[] = {
	"array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg", "xmlagg", "any_value",
	"json_agg_strict", "jsonb_agg_strict", "json_object_agg_strict", "jsonb_object_agg_strict",
	"json_object_agg_unique", "jsonb_object_agg_unique", "json_object_agg_unique_strict", "jsonb_object_agg_unique_strict",
};

static bool
is_ordered_by_input(Oid function, const char *name)
{
	if (function >= FirstNormalObjectId)
		return false;
	for (int i = 0; i < lengthof(ordered_by_input); i++)
		if (strcmp(name, ordered_by_input[i]) == 0)
			return true;
	return false;
}

/* What the aggregate's own pg_aggregate row rules out. */
static ViewRefusal *
refuse_aggregate_function(const Aggref *aggref, const char *name)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	FormData_pg_aggregate form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = *(Form_pg_aggregate) GETSTRUCT(tuple);
	ReleaseSysCache(tuple);

	if (!OidIsValid(form.aggcombinefn))
		return refuse(aggref->location, psprintf("aggregate function %s cannot be kept by a continuous view", name),
					  "It has no combine function, so states of two sets of rows cannot be merged.",
					  "Use an aggregate with a combine function: those of hll for distinct counts, of tdigest for percentiles, or min, max, sum, count.");
	if (form.aggtranstype == INTERNALOID && (!OidIsValid(form.aggserialfn) || !OidIsValid(form.aggdeserialfn)))
		return refuse(aggref->location, psprintf("aggregate function %s cannot be kept by a continuous view", name),
					  "Its internal state has no serialization function, so it cannot be stored.",
					  "Use an aggregate whose state is of an ordinary type or can be serialized.");
	return NULL;
}

ViewRefusal *
refuse_aggregate(const Aggref *aggref)
{
	char	   *name = get_func_name(aggref->aggfnoid);

	if (AGGKIND_IS_ORDERED_SET(aggref->aggkind))
		return refuse(aggref->location, psprintf("ordered-set aggregate %s is not supported in the definition of a continuous view", name),
					  "It needs all values of the group in order.",
					  "Use tdigest for percentiles, or compute it in batch from the stored rows.");
	if (aggref->aggdistinct != NIL)
		return refuse(aggref->location, psprintf("%s(DISTINCT ...) is not supported in the definition of a continuous view", name),
					  "It needs all values of the group that were seen so far.",
					  "Count distinct values with hll, or group by the value and count the groups in the query that reads the live view.");
	if (aggref->aggorder != NIL)
		return refuse(aggref->location, psprintf("ORDER BY in aggregate function %s is not supported in the definition of a continuous view", name),
					  "It needs all values of the group in order.",
					  "Remove the ORDER BY, or compute the aggregate in batch from the stored rows.");
	if (is_ordered_by_input(aggref->aggfnoid, name))
		return refuse(aggref->location, psprintf("aggregate function %s is not supported in the definition of a continuous view", name),
					  "Its result depends on the order in which rows arrive.",
					  "Compute it in batch from the stored rows, or keep min, max or count of the values.");
	return refuse_aggregate_function(aggref, name);
}

ViewRefusal *
refuse_key(const Expr *key, const SortGroupClause *clause)
{
	Oid			type = exprType((const Node *) key);
	Oid			collation = exprCollation((const Node *) key);
	int			location = exprLocation((const Node *) key);

	if (get_typtype(type) == TYPTYPE_PSEUDO)
		return refuse(location, psprintf("cannot group a continuous view by type %s", format_type_be(type)),
					  "No column of a table can have this type.", "Group by the parts instead.");
	if (!OidIsValid(clause->sortop))
		return refuse(location, psprintf("cannot group a continuous view by type %s", format_type_be(type)),
					  "The type has no default btree operator class, which the state's index needs.",
					  "Cast the expression to a type that can be sorted, for example text.");
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		return refuse(location, "cannot group a continuous view by a nondeterministic collation",
					  "Which of several equal texts stands for the group would depend on the order of rows.",
					  "Add a deterministic collation, for example COLLATE \"C\", or group by lower(...).");
	return NULL;
}
