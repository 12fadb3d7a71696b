/*
 * session_query.h
 *		A flattened definition over sessions as a query that can be run again.
 */
#ifndef DELTAFLOW_BATCH_SESSION_QUERY_H
#define DELTAFLOW_BATCH_SESSION_QUERY_H

#include "view/definition.h"

/*
 * Puts the window function into a level of its own below the query's.  Conditions that
 * use the session (Vars of WINDOW_VARNO) stay above it, the others go below.
 */
extern void session_query(Query *query, const WindowCall *window);

#endif							/* DELTAFLOW_BATCH_SESSION_QUERY_H */
