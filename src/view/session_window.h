/*
 * session_window.h
 *		Definitions that group by deltaflow.session().
 */
#ifndef DELTAFLOW_VIEW_SESSION_WINDOW_H
#define DELTAFLOW_VIEW_SESSION_WINDOW_H

#include "view/definition.h"

/*
 * The call that a level's window function is, or why it is none that can be kept.  Its
 * time and PARTITION BY are still over that level.
 */
extern ViewRefusal *session_window_call(const Query *level, const WindowFunc *function, WindowCall **call);

/* A window function where none can be kept: beside GROUP BY. */
extern ViewRefusal *session_window_refuse_here(int location);

/* A condition between the window function and GROUP BY. */
extern ViewRefusal *session_window_refuse_condition(const Node *condition);

/* Fills kind, time, gap; refuses a GROUP BY that is not the sessions'. */
extern ViewRefusal *session_window_analyse(const Definition *definition, WindowSpec *window);

/* Over the state row: the session's range, and its end + gap: what is final when the watermark has passed it. */
extern Expr *session_window_range(const ViewSpec *spec);
extern Expr *session_window_settled(const ViewSpec *spec);

/* lower() and upper() of a range, of the view's time type. */
extern Expr *session_window_bound(const ViewSpec *spec, Expr *range, bool upper);

/* The session as expressions above the window function see it. */
extern Expr *session_window_var(const ViewSpec *spec);

/* Is it the session itself, as expressions above the window function see it? */
static inline bool
is_window_var(const Node *node)
{
	return node != NULL && IsA(node, Var) && ((const Var *) node)->varno == WINDOW_VARNO;
}

#endif							/* DELTAFLOW_VIEW_SESSION_WINDOW_H */
