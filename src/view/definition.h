/*
 * definition.h
 *		A definition with everything between it and its one source expanded.
 */
#ifndef DELTAFLOW_VIEW_DEFINITION_H
#define DELTAFLOW_VIEW_DEFINITION_H

#include "view/view_spec.h"

/* All Vars have varno 1 and stand for columns of the source. */
typedef struct Definition
{
	Oid			source_relid;
	List	   *quals;			/* WHERE of all levels, innermost first, to be AND'ed */
	List	   *tlist;			/* TargetEntry, junk included */
	List	   *group_clause;	/* SortGroupClause, as written */
	Node	   *having;
} Definition;

/* NULL, or why the definition does not come down to one source.  Checks SELECT privileges on the way. */
extern ViewRefusal *definition_flatten(const Query *query, Definition **definition);

#endif							/* DELTAFLOW_VIEW_DEFINITION_H */
