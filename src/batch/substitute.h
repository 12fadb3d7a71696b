/*
 * substitute.h
 *		The same definition over another relation, with other parameter values.
 */
#ifndef DELTAFLOW_BATCH_SUBSTITUTE_H
#define DELTAFLOW_BATCH_SUBSTITUTE_H

#include "nodes/parsenodes.h"
#include "utils/jsonb.h"

#include "view/definition.h"

/*
 * Replaces calls of deltaflow.param(name, default) by the value that params (an
 * object, NULL: none) gives the name; ERROR when it names a parameter that the
 * definition has not.
 */
extern Definition *substitute_params(const Definition *definition, Jsonb *params);

/*
 * The query of a flattened definition over a relation of the same shape as its
 * source: columns are matched by name and must have the same type.  Locks the
 * relation, and asks for the current user's SELECT privilege on the columns used.
 * conditions (list of Expr over the source's columns) are added to its WHERE.
 */
extern Query *substitute_source(const Definition *definition, List *conditions, Oid relid);

/* One relation to be put in the place of another. */
typedef struct SourceChange
{
	Oid			named;			/* InvalidOid: no change */
	Oid			replacement;
} SourceChange;

/* Reads `sources`, an object {"source": "replacement"} (NULL: none), with the caller's search_path. */
extern SourceChange source_change(Jsonb *sources);

/* Which relation the definition is to read; ERROR when the change names another than its source. */
extern Oid	source_after(const SourceChange *change, Oid source_relid);

#endif							/* DELTAFLOW_BATCH_SUBSTITUTE_H */
