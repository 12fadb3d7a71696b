/*
 * explain.h
 *		A continuous view in words.
 */
#ifndef DELTAFLOW_VIEW_EXPLAIN_H
#define DELTAFLOW_VIEW_EXPLAIN_H

#include "catalog/catalog.h"

/* How the view is kept and why: a list of C strings, one per line. */
extern List *view_explain(const ViewRow *row);

#endif							/* DELTAFLOW_VIEW_EXPLAIN_H */
