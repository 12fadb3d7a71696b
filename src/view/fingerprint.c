/*
 * fingerprint.c
 *		A text that changes when a definition begins to mean something else.
 *
 * The flattened definition is written out with every column of the source as a
 * number in order of first use, under fixed settings.  That body survives renames.
 * Which columns the numbers stand for is told twice: by attribute number, which
 * survives renames, and by name, which survives dump and restore where columns were
 * dropped before.  The fingerprint holds a hash of each; two definitions are the same
 * when either half agrees.
 */
#include "postgres.h"

#include "access/table.h"
#include "common/hashfn.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "view/definition.h"

#define FIRST_WINDOW_PARAM	100000	/* beyond the numbers that columns of a source can get */

/* Columns in order of first use. */
typedef struct Numbering
{
	List	   *columns;		/* of Var */
} Numbering;

/* Var -> $n; a column of the window keeps its own number, with a type of its own beside all others */
static Node *
number_columns(Node *node, Numbering *numbering)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varno == WINDOW_VARNO)
	{
		Param	   *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramid = FIRST_WINDOW_PARAM + ((Var *) node)->varattno;
		param->paramtype = ((Var *) node)->vartype;
		param->paramtypmod = -1;
		param->location = -1;
		return (Node *) param;
	}
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		Param	   *param = makeNode(Param);
		ListCell   *lc;
		int			i = 1;

		foreach(lc, numbering->columns)
		{
			if (lfirst_node(Var, lc)->varattno == var->varattno)
				break;
			i++;
		}
		if (i > list_length(numbering->columns))
			numbering->columns = lappend(numbering->columns, var);

		param->paramkind = PARAM_EXTERN;
		param->paramid = i;
		param->paramtype = var->vartype;
		param->paramtypmod = var->vartypmod;
		param->paramcollid = var->varcollid;
		param->location = -1;
		return (Node *) param;
	}
	return expression_tree_mutator(node, number_columns, numbering);
}

static void
append_expression(StringInfo body, const char *label, Node *expr, Numbering *numbering)
{
	appendStringInfo(body, "%s %s\n", label,
					 deparse_expression(number_columns(expr, numbering), NIL, false, true));
}

/* A window's call: which function, and each of its arguments. */
static void
append_window(StringInfo body, const WindowCall *window, Numbering *numbering)
{
	ListCell   *lc;

	appendStringInfo(body, "window %s\n", get_func_name(window->function));
	append_expression(body, "time", (Node *) window->time, numbering);
	foreach(lc, window->args)
		append_expression(body, "argument", lfirst(lc), numbering);
	foreach(lc, window->partition)
		append_expression(body, "partition", lfirst(lc), numbering);
}

/* WHERE, GROUP BY, target list and HAVING with numbered columns. */
static void
append_body(StringInfo body, const Definition *definition, Numbering *numbering)
{
	ListCell   *lc;

	foreach(lc, definition->quals)
		append_expression(body, "where", lfirst(lc), numbering);
	if (definition->window != NULL)
		append_window(body, definition->window, numbering);
	foreach(lc, definition->tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		append_expression(body, tle->resjunk ? "by" : tle->ressortgroupref != 0 ? "key" : "out",
						  (Node *) tle->expr, numbering);
	}
	if (definition->having != NULL)
		append_expression(body, "having", definition->having, numbering);
}

/* Settings that change how an expression prints, fixed until AtEOXact_GUC of the level returned. */
static int
fix_settings(void)
{
	static const char *const fixed[][2] = {
		{"search_path", "pg_catalog, pg_temp"}, {"TimeZone", "UTC"}, {"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"}, {"extra_float_digits", "3"}, {"bytea_output", "hex"},
		{"quote_all_identifiers", "off"}, {"standard_conforming_strings", "on"},
	};
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(fixed); i++)
		(void) set_config_option(fixed[i][0], fixed[i][1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static uint64
hash_text(const StringInfoData *text)
{
	return DatumGetUInt64(hash_any_extended((const unsigned char *) text->data, text->len, 0));
}

/* The body with its numbers explained, by attribute number or by name. */
static uint64
hash_with_columns(const char *body, const Numbering *numbering, Oid source, bool by_name)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	appendStringInfoString(&text, body);
	foreach(lc, numbering->columns)
	{
		Var		   *var = lfirst_node(Var, lc);

		if (by_name)
			appendStringInfoString(&text, get_attname(source, var->varattno, false));
		else
			appendStringInfo(&text, "%d", var->varattno);
		appendStringInfo(&text, " %s\n", format_type_with_typemod(var->vartype, var->vartypmod));
	}
	return hash_text(&text);
}

/* Of an analysed query; NULL when it cannot be flattened, which no stored definition of a view does. */
char *
view_query_fingerprint(const Query *query)
{
	Definition *definition;
	Numbering	numbering = {NIL};
	StringInfoData body;
	int			level;
	char	   *result;

	if (definition_flatten(query, &definition) != NULL)
		return NULL;

	level = fix_settings();
	initStringInfo(&body);
	append_body(&body, definition, &numbering);
	result = psprintf("%016llx:%016llx",
					  (unsigned long long) hash_with_columns(body.data, &numbering, definition->source_relid, false),
					  (unsigned long long) hash_with_columns(body.data, &numbering, definition->source_relid, true));
	AtEOXact_GUC(true, level);
	return result;
}

char *
view_fingerprint(Oid batch_relid)
{
	return view_query_fingerprint(view_definition(batch_relid));
}

/* Whether two fingerprints are of the same definition: either half agrees. */
bool
view_fingerprint_same(const char *one, const char *other)
{
	const char *one_half = strchr(one, ':');
	const char *other_half = other ? strchr(other, ':') : NULL;

	if (one_half == NULL || other_half == NULL)
		return false;
	return strcmp(one_half, other_half) == 0 ||
		(one_half - one == other_half - other && strncmp(one, other, one_half - one) == 0);
}
