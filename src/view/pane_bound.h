/*
 * pane_bound.h
 *		Conditions on windows, as bounds on the panes that are looked for.
 */
#ifndef DELTAFLOW_VIEW_PANE_BOUND_H
#define DELTAFLOW_VIEW_PANE_BOUND_H

#include "nodes/supportnodes.h"

/* What deltaflow.panes_from or panes_upto stands for in the query being planned; NULL: itself. */
extern Node *pane_bound_simplify(const SupportRequestSimplify *request, bool lower);

#endif							/* DELTAFLOW_VIEW_PANE_BOUND_H */
