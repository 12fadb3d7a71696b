/*
 * pane_window.h
 *		Windows of deltaflow.hop and deltaflow.cumulate in a definition.
 */
#ifndef DELTAFLOW_VIEW_PANE_WINDOW_H
#define DELTAFLOW_VIEW_PANE_WINDOW_H

#include "view/definition.h"
#include "view/view_spec.h"

/* Columns of the state table and of the windows made from it. */
#define PANE_COLUMN			"pane"
#define OPEN_FROM_COLUMN	"open_from"
#define WINDOW_START_COLUMN "window_start"
#define WINDOW_END_COLUMN	"window_end"

#define PANE_KEYS			2	/* hidden keys, before those of GROUP BY */

#define WINDOW_START_ATTNO	1
#define WINDOW_END_ATTNO	2

/* Fills the window from the definition's call; NULL, or why its windows cannot be kept. */
extern ViewRefusal *pane_window_analyse(const Definition *definition, WindowSpec *window);

/* The two hidden keys, over the source. */
extern Expr *pane_window_start(const WindowSpec *window);
extern Expr *pane_window_open_from(const WindowSpec *window);

/* True for rows that have a window. */
extern Expr *pane_window_condition(const WindowSpec *window);

/* Whether the expression uses columns of the window. */
extern bool uses_window(const Node *expr);

#endif							/* DELTAFLOW_VIEW_PANE_WINDOW_H */
