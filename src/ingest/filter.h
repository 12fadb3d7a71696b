/*
 * filter.h
 *		The condition of an ingest: which of a topic's rows are stored.
 */
#ifndef DELTAFLOW_INGEST_FILTER_H
#define DELTAFLOW_INGEST_FILTER_H

#include "nodes/primnodes.h"

/*
 * Analyses the text over the topic's columns (varno 1) with the current
 * search_path.  ERROR when it is not a condition that each row decides for itself.
 */
extern Expr *filter_analyse(const char *text, Oid topic);

/* The same condition as text that means the same under search_path pg_catalog. */
extern char *filter_qualified(const char *text, Oid topic);

#endif							/* DELTAFLOW_INGEST_FILTER_H */
