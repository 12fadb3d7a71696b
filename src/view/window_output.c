/*
 * window_output.c
 *		Where a view's own rows show the windows they belong to.
 *
 * In comes a spec, whose output expressions are what users see; out comes SQL over the
 * rows of the live or the batch view.  A view need not show its windows: then its rows
 * cannot be told apart by time.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"

#include "compat.h"
#include "view/session_window.h"
#include "view/window_output.h"

/* The column of the output that is this expression, after an alias; NULL: there is none. */
static char *
output_expression(const ViewSpec *spec, const char *alias, const Expr *expr)
{
	ListCell   *cell;

	foreach(cell, spec->output_tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!entry->resjunk && equal(entry->expr, expr))
			return psprintf("%s%s%s", alias ? alias : "", alias ? "." : "", quote_identifier(entry->resname));
	}
	return NULL;
}

/* A session is shown by one of its bounds, or whole. */
static char *
session_output(const ViewSpec *spec, const char *alias, bool end)
{
	Expr	   *range = session_window_range(spec);
	char	   *shown = output_expression(spec, alias, session_window_bound(spec, range, end));

	if (shown != NULL)
		return shown;
	shown = output_expression(spec, alias, range);
	return shown == NULL ? NULL : psprintf("pg_catalog.%s(%s)", end ? "upper" : "lower", shown);
}

/* The column of the output that is this Var. */
static char *
output_column(const ViewSpec *spec, const char *alias, int varno, AttrNumber attno)
{
	ListCell   *cell;

	foreach(cell, spec->output_tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!entry->resjunk && IsA(entry->expr, Var) &&
			((Var *) entry->expr)->varno == varno && ((Var *) entry->expr)->varattno == attno)
			return psprintf("%s%s%s", alias ? alias : "", alias ? "." : "", quote_identifier(entry->resname));
	}
	return NULL;
}

char *
window_output(const ViewSpec *spec, const char *alias, bool end)
{
	if (spec->window.kind == WINDOW_SESSION)
		return session_output(spec, alias, end);
	if (spec->window.kind == WINDOW_PANES)
		return output_column(spec, alias, WINDOW_VARNO, end ? 2 : 1);
	if (spec->window.kind == WINDOW_NONE || end)
		return NULL;
	return output_column(spec, alias, 1, spec->keys[spec->window.key].column.attnum);
}

bool
window_is_shown(const ViewSpec *spec)
{
	return window_output(spec, NULL, false) != NULL || window_output(spec, NULL, true) != NULL;
}
