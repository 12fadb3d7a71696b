/*
 * definition.h
 *		A definition with everything between it and its one source expanded.
 */
#ifndef DELTAFLOW_VIEW_DEFINITION_H
#define DELTAFLOW_VIEW_DEFINITION_H

#include "view/view_spec.h"

/* Window functions of which a definition may use one. */
typedef enum WindowCallKind
{
	WINDOW_CALL_HOP,			/* deltaflow.hop(ts, slide, size [, origin]) in FROM */
	WINDOW_CALL_CUMULATE,		/* deltaflow.cumulate(ts, step, size [, origin]) in FROM */
	WINDOW_CALL_SESSION			/* deltaflow.session(ts, gap) OVER (PARTITION BY ... ORDER BY ts) */
} WindowCallKind;

/*
 * The one call below GROUP BY.  What it gives are Vars of WINDOW_VARNO in the level
 * above: hop, cumulate: attno 1 window_start, 2 window_end; session: attno 1 the range.
 */
typedef struct WindowCall
{
	WindowCallKind kind;
	Oid			function;
	Expr	   *time;			/* its first argument, over the source */
	List	   *args;			/* Expr: the other arguments as written, defaults put in, over nothing */
	List	   *partition;		/* session: Expr of PARTITION BY, over the source */
	int			location;
} WindowCall;

/* All Vars have varno 1 and stand for columns of the source, or WINDOW_VARNO. */
typedef struct Definition
{
	Oid			source_relid;
	WindowCall *window;			/* NULL: none; windows in GROUP BY are ordinary expressions */
	List	   *quals;			/* WHERE of all levels, innermost first, to be AND'ed */
	List	   *tlist;			/* TargetEntry, junk included */
	List	   *group_clause;	/* SortGroupClause, as written */
	Node	   *having;
	Bitmapset  *also_read;		/* columns of the source that batch reads without need: below AS MATERIALIZED */
} Definition;

/* Whether it is one of deltaflow's functions that give windows; which. */
extern bool window_function_kind(Oid function, WindowCallKind *kind);

/* NULL, or why the definition does not come down to one source.  Checks SELECT privileges on the way. */
extern ViewRefusal *definition_flatten(const Query *query, Definition **definition);

/* The spec of a flattened definition, which is used up.  NULL, or why it cannot be kept. */
extern ViewRefusal *definition_analyse(Definition *definition, ViewSpec **spec);

/*
 * A copy, and one with every expression replaced by mutator(expression, arg), which is
 * given expressions one by one or in lists.
 */
extern Definition *definition_copy(const Definition *definition);
extern Definition *definition_mutate(const Definition *definition, Node *(*mutator) (Node *node, void *arg), void *arg);

#endif							/* DELTAFLOW_VIEW_DEFINITION_H */
