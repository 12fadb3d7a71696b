/*
 * live_sql.h
 *		What live_sql.c and pane_sql.c share.
 */
#ifndef DELTAFLOW_VIEW_LIVE_SQL_H
#define DELTAFLOW_VIEW_LIVE_SQL_H

#include "lib/stringinfo.h"

#include "view/view_spec.h"

/* For deparse_expression over the merged states and windows of a view by panes. */
extern List *pane_deparse_context(const ViewSpec *spec, const char *name);

/*
 * FROM (...) name: windows with the merged states of their groups, made from the state
 * table.  condition: over w.window_end, NULL: none.
 */
extern void append_pane_source(StringInfo sql, const ViewSpec *spec, const char *state,
							   const char *condition, const char *name);

#endif							/* DELTAFLOW_VIEW_LIVE_SQL_H */
