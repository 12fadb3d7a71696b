/*
 * retain.h
 *		What option retain asks of a view.
 */
#ifndef DELTAFLOW_VIEW_RETAIN_H
#define DELTAFLOW_VIEW_RETAIN_H

#include "catalog/catalog.h"
#include "view/options.h"
#include "view/view_spec.h"

/* ERROR unless windows are retained for as long as rows for them count. */
extern void retain_check(const ViewSettings *options, const Interval *lateness);

/* ERROR unless the view shows by what its rows are told from those removed. */
extern void retain_check_shown(const ViewSpec *spec);

/* The index that old sessions are removed along, unless the state table has it; nothing for other views. */
extern void retain_make_index(const ViewSpec *spec, Oid state_table);

/* The same of an existing view that is about to be given these options, if retain is one; before its pipeline is locked. */
extern void retain_prepare(const ViewRow *row, const char *options);

#endif							/* DELTAFLOW_VIEW_RETAIN_H */
