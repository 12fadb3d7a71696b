/*
 * substitute.c
 *		The same definition over another relation, with other parameter values.
 *
 * What comes in: a flattened definition, with the plain views that it reads expanded.
 * What goes out: its expressions with parameters exchanged, wherever they were written,
 * and then a query of them over the relation.  Everything else, types, casts, functions
 * and collations, stays as analysed, so that the answer over a history table means
 * exactly what the live view means.
 *
 * Columns are matched by name, since a history table rarely has the same column
 * numbers.  Privileges are the current user's, not the view owner's: run() is an
 * ordinary query of its caller.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "batch/session_query.h"
#include "batch/substitute.h"
#include "compat.h"

typedef struct ParamContext
{
	Oid			function;		/* deltaflow.param */
	Jsonb	   *params;
	List	   *seen;			/* names met in the definition */
} ParamContext;

typedef struct SourceContext
{
	Relation	old_source;
	Relation	new_source;
} SourceContext;

/* The text of a scalar member of an object; NULL when it has no such member or a null one. */
static char *
object_member(Jsonb *object, const char *name)
{
	JsonbValue	value;

	if (object == NULL ||
		getKeyJsonValueFromContainer(&object->root, name, strlen(name), &value) == NULL)
		return NULL;
	switch (value.type)
	{
		case jbvString:
			return pnstrdup(value.val.string.val, value.val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
		case jbvBool:
			return pstrdup(value.val.boolean ? "true" : "false");
		case jbvNull:
			return NULL;
		default:
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("value of \"%s\" must be a scalar", name));
	}
	return NULL;
}

/* The names of an object's members; ERROR when it is not an object. */
static List *
object_names(Jsonb *object, const char *argument)
{
	List	   *names = NIL;
	JsonbIterator *iterator;
	JsonbValue	value;
	JsonbIteratorToken token;

	if (object == NULL)
		return NIL;
	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"%s\" must be a JSON object", argument));
	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
		if (token == WJB_KEY)
			names = lappend(names, pnstrdup(value.val.string.val, value.val.string.len));
	return names;
}

static bool
names_contain(List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

/* "a", "b" for a hint. */
static char *
names_quoted(List *names)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, names)
		appendStringInfo(&text, "%s\"%s\"", text.len > 0 ? ", " : "", (char *) lfirst(cell));
	return text.data;
}

static Node *param_mutator(Node *node, void *arg);

/* The value given for a parameter as a constant of the default's type, or the default. */
static Node *
param_value(FuncExpr *call, ParamContext *context)
{
	Const	   *name = linitial(call->args);
	Node	   *fallback = lsecond(call->args);
	Oid			type = exprType(fallback);
	int32		typmod = exprTypmod(fallback);
	char	   *given;
	Oid			input;
	Oid			ioparam;
	int16		length;
	bool		by_value;

	if (!IsA(name, Const) || name->constisnull)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("name of a parameter must be a constant"));
	context->seen = lappend(context->seen, TextDatumGetCString(name->constvalue));
	given = object_member(context->params, llast(context->seen));
	if (given == NULL)
		return param_mutator(fallback, context);
	getTypeInputInfo(type, &input, &ioparam);
	get_typlenbyval(type, &length, &by_value);
	return (Node *) makeConst(type, typmod, exprCollation(fallback), length,
							  OidInputFunctionCall(input, given, ioparam, typmod),
							  false, by_value);
}

/* Replaces calls of deltaflow.param in expressions; also within another's default. */
static Node *
param_mutator(Node *node, void *arg)
{
	ParamContext *context = arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == context->function)
		return param_value((FuncExpr *) node, context);
	return expression_tree_mutator(node, param_mutator, arg);
}

Definition *
substitute_params(const Definition *definition, Jsonb *params)
{
	Oid			types[] = {TEXTOID, ANYELEMENTOID};
	ParamContext context = {0};
	Definition *result;
	ListCell   *cell;

	context.function = LookupFuncName(list_make2(makeString("deltaflow"), makeString("param")),
									  2, types, false);
	context.params = params;
	result = definition_mutate(definition, param_mutator, &context);
	foreach(cell, object_names(params, "params"))
	{
		char	   *name = lfirst(cell);

		if (!names_contain(context.seen, name))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("definition has no parameter \"%s\"", name),
					context.seen == NIL ?
					errhint("Write deltaflow.param('%s', default) in the definition where the value is to stand.", name) :
					errhint("Its parameters are %s.", names_quoted(context.seen)));
	}
	return result;
}

/* The column of the other relation that has the name and type of this one. */
static AttrNumber
matching_column(const SourceContext *context, AttrNumber number)
{
	Form_pg_attribute wanted = TupleDescAttr(RelationGetDescr(context->old_source), number - 1);
	TupleDesc	desc = RelationGetDescr(context->new_source);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute found = TupleDescAttr(desc, i);

		if (found->attisdropped || strcmp(NameStr(found->attname), NameStr(wanted->attname)) != 0)
			continue;
		if (found->atttypid == wanted->atttypid && found->attcollation == wanted->attcollation)
			return found->attnum;
		ereport(ERROR,
				errcode(ERRCODE_DATATYPE_MISMATCH),
				errmsg("column \"%s\" of relation \"%s\" has type %s, not %s",
					   NameStr(wanted->attname), RelationGetRelationName(context->new_source),
					   format_type_be(found->atttypid), format_type_be(wanted->atttypid)),
				errhint("Give a relation of the same shape as \"%s\", for example a view that casts the column.",
						RelationGetRelationName(context->old_source)));
	}
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_COLUMN),
			errmsg("relation \"%s\" has no column \"%s\"",
				   RelationGetRelationName(context->new_source), NameStr(wanted->attname)),
			errhint("Give a relation of the same shape as \"%s\".",
					RelationGetRelationName(context->old_source)));
	return InvalidAttrNumber;
}

/* Renumbers the columns of varno 1, in place. */
static bool
source_walker(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (var->varno == 1 && var->varlevelsup == 0 && var->varattno > 0)
		{
			var->varattno = matching_column(arg, var->varattno);
			var->varattnosyn = var->varattno;
		}
		return false;
	}
	return expression_tree_walker(node, source_walker, arg);
}

/* The names of all columns, dropped ones empty, as an RTE's eref wants them. */
static List *
column_names(Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	List	   *names = NIL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		names = lappend(names, makeString(pstrdup(column->attisdropped ? "" : NameStr(column->attname))));
	}
	return names;
}

/* The range table entry of the relation that the query reads. */
static RangeTblEntry *
source_entry(Relation relation)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(relation);
	rte->relkind = relation->rd_rel->relkind;
	rte->rellockmode = AccessShareLock;
	rte->inh = true;
	rte->inFromCl = true;
	rte->eref = makeAlias(RelationGetRelationName(relation), column_names(relation));
	return rte;
}

/* Whether the window is a window function in a level of its own. */
static bool
has_sessions(const Definition *definition)
{
	return definition->window != NULL && definition->window->kind == WINDOW_CALL_SESSION;
}

/* Whether the window is a function in FROM. */
static bool
has_window_entry(const Definition *definition)
{
	return definition->window != NULL && !has_sessions(definition);
}

/* LATERAL deltaflow.hop(...) or cumulate: the range table entry that is WINDOW_VARNO. */
static RangeTblEntry *
window_entry(const WindowCall *window)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblFunction *function = makeNode(RangeTblFunction);
	FuncExpr   *call = makeFuncExpr(window->function, RECORDOID,
									lcons(copyObject(window->time), copyObject(window->args)),
									InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);

	call->funcretset = true;
	function->funcexpr = (Node *) call;
	function->funccolcount = 2;
	rte->rtekind = RTE_FUNCTION;
	rte->functions = list_make1(function);
	rte->lateral = true;
	rte->inFromCl = true;
	rte->eref = makeAlias(get_func_name(window->function),
						  list_make2(makeString(pstrdup("window_start")), makeString(pstrdup("window_end"))));
	return rte;
}

/* Adds the function that gives windows to FROM. */
static void
add_window(Query *query, const WindowCall *window)
{
	RangeTblRef *reference = makeNode(RangeTblRef);

	query->rtable = lappend(query->rtable, window_entry(window));
	reference->rtindex = list_length(query->rtable);
	Assert(reference->rtindex == WINDOW_VARNO);
	query->jointree->fromlist = lappend(query->jointree->fromlist, reference);
}

/* SELECT .. FROM rte WHERE .. GROUP BY .. HAVING .. */
static Query *
flat_query(const Definition *definition, List *conditions, RangeTblEntry *rte)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *reference = makeNode(RangeTblRef);
	List	   *quals = list_concat(copyObject(conditions), copyObject(definition->quals));

	reference->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(reference),
								   quals == NIL ? NULL : (Node *) make_ands_explicit(quals));
	if (has_window_entry(definition))
		add_window(query, definition->window);
	query->targetList = copyObject(definition->tlist);
	query->groupClause = copyObject(definition->group_clause);
	query->havingQual = copyObject(definition->having);
	query->hasAggs = contain_aggs_of_level((Node *) query->targetList, 0) ||
		contain_aggs_of_level(query->havingQual, 0);
	return query;
}

Query *
substitute_source(const Definition *definition, List *conditions, Oid relid)
{
	SourceContext context;
	RangeTblEntry *rte;
	Query	   *query;
	WindowCall *sessions = has_sessions(definition) ? definition_copy(definition)->window : NULL;
	Bitmapset  *columns = NULL;

	context.old_source = table_open(definition->source_relid, AccessShareLock);
	context.new_source = table_open(relid, AccessShareLock);
	rte = source_entry(context.new_source);
	query = flat_query(definition, conditions, rte);
	if (relid != definition->source_relid)
		query_tree_walker(query, source_walker, &context, QTW_IGNORE_RT_SUBQUERIES);
	if (relid != definition->source_relid && sessions != NULL)
	{
		(void) source_walker((Node *) sessions->time, &context);
		(void) source_walker((Node *) sessions->partition, &context);
	}
	if (has_window_entry(definition))
		pull_varattnos((Node *) rt_fetch(WINDOW_VARNO, query->rtable)->functions, 1, &columns);
	if (sessions != NULL)
	{
		pull_varattnos((Node *) sessions->time, 1, &columns);
		pull_varattnos((Node *) sessions->partition, 1, &columns);
	}
	pull_varattnos((Node *) query->targetList, 1, &columns);
	pull_varattnos(query->jointree->quals, 1, &columns);
	pull_varattnos(query->havingQual, 1, &columns);
	compat_require_select(query, rte, columns);
	if (sessions != NULL)
		session_query(query, sessions);
	table_close(context.old_source, NoLock);
	table_close(context.new_source, NoLock);
	return query;
}

/* The relation a JSON string names. */
static Oid
relation_by_text(const char *name)
{
	return RangeVarGetRelid(makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name))),
							AccessShareLock, false);
}

SourceChange
source_change(Jsonb *sources)
{
	SourceChange change = {InvalidOid, InvalidOid};
	List	   *names = object_names(sources, "sources");
	char	   *other;

	if (names == NIL)
		return change;
	if (list_length(names) > 1)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("argument \"sources\" names more than one relation"),
				errdetail("A definition reads one relation."));
	other = object_member(sources, linitial(names));
	if (other == NULL)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("no relation is given in the place of \"%s\"", (char *) linitial(names)));
	change.named = relation_by_text(linitial(names));
	change.replacement = relation_by_text(other);
	return change;
}

Oid
source_after(const SourceChange *change, Oid source_relid)
{
	if (!OidIsValid(change->named))
		return source_relid;
	if (change->named != source_relid)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("definition does not read relation \"%s\"", get_rel_name(change->named)),
				errhint("Its source is \"%s\".", get_rel_name(source_relid)));
	return change->replacement;
}
