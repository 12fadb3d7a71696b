/*
 * filter.c
 *		The condition of an ingest, from text to an expression over the topic.
 *
 * The user's text is analysed at CREATE with the user's search_path and stored as
 * text that names every function and type with its schema; the pipeline analyses
 * that again whenever it loads, with search_path pinned.
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "ingest/filter.h"

/* Whether a parsed `SELECT <text>` is one expression and nothing more. */
static bool
is_bare_expression(const SelectStmt *select)
{
	return list_length(select->targetList) == 1 &&
		select->distinctClause == NIL && select->intoClause == NULL &&
		select->fromClause == NIL && select->whereClause == NULL &&
		select->groupClause == NIL && select->havingClause == NULL &&
		select->windowClause == NIL && select->valuesLists == NIL &&
		select->sortClause == NIL && select->limitOffset == NULL &&
		select->limitCount == NULL && select->lockingClause == NIL &&
		select->withClause == NULL && select->op == SETOP_NONE;
}

/* Text to the expression it is, not yet analysed. */
static Node *
parse_expression(const char *text)
{
	List	   *statements = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = castNode(SelectStmt, castNode(RawStmt, linitial(statements))->stmt);

	if (list_length(statements) != 1 || !is_bare_expression(select))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("filter is not a single expression"),
				 errhint("Write a condition over the topic's columns, such as filter => 'event_type = 2'.")));
	return linitial_node(ResTarget, select->targetList)->val;
}

/* Refuses what cannot be decided from one row, the same way every time. */
static void
check_filter(Node *filter)
{
	if (checkExprHasSubLink(filter))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot use a subquery in a filter"),
				 errhint("Store all rows, and join in a view over the table.")));
	if (contain_volatile_functions(filter))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot use a volatile function in a filter"),
				 errdetail("A record that is read again must meet the same decision.")));
}

/* Positions in errors are those in the filter, not in the statement that carries it. */
static void
point_into_filter(void *argument)
{
	int			position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery((const char *) argument);
}

/* The text's parse tree, over the columns of the topic. */
static Node *
transform_filter(const char *text, Oid topic)
{
	Node	   *raw = parse_expression(text);
	Relation	rel = table_open(topic, AccessShareLock);
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *item;
	Node	   *filter;

	pstate->p_sourcetext = text;
	item = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL, false, true);
	addNSItemToQuery(pstate, item, false, true, true);
	filter = transformExpr(pstate, raw, EXPR_KIND_WHERE);
	filter = coerce_to_boolean(pstate, filter, "filter");
	assign_expr_collations(pstate, filter);
	free_parsestate(pstate);
	table_close(rel, NoLock);
	return filter;
}

Expr *
filter_analyse(const char *text, Oid topic)
{
	ErrorContextCallback callback = {
		.callback = point_into_filter, .arg = unconstify(char *, text), .previous = error_context_stack
	};
	Node	   *filter;

	error_context_stack = &callback;
	filter = transform_filter(text, topic);
	error_context_stack = callback.previous;
	check_filter(filter);
	return (Expr *) filter;
}

char *
filter_qualified(const char *text, Oid topic)
{
	Expr	   *filter = filter_analyse(text, topic);
	Identity	before = identity_become(GetUserId(), NIL);
	char	   *qualified;

	qualified = deparse_expression((Node *) filter, deparse_context_for(get_rel_name(topic), topic), false, false);
	identity_restore(before);
	return qualified;
}
