/*
 * window_output.h
 *		Where a view's own rows show the windows they belong to.
 */
#ifndef DELTAFLOW_VIEW_WINDOW_OUTPUT_H
#define DELTAFLOW_VIEW_WINDOW_OUTPUT_H

#include "view/view_spec.h"

/*
 * The window's start (or end) as SQL over rows of the live or batch view that go by
 * this alias (NULL: none); NULL when the view does not show it.
 */
extern char *window_output(const ViewSpec *spec, const char *alias, bool end);

/* Whether it shows either. */
extern bool window_is_shown(const ViewSpec *spec);

#endif							/* DELTAFLOW_VIEW_WINDOW_OUTPUT_H */
