/*
 * substitute.h
 *		The same definition over another relation, with other parameter values.
 */
#ifndef DELTAFLOW_BATCH_SUBSTITUTE_H
#define DELTAFLOW_BATCH_SUBSTITUTE_H

#include "nodes/parsenodes.h"
#include "utils/jsonb.h"

/*
 * Replaces calls of deltaflow.param(name, default) by the value that params (an
 * object, NULL: none) gives the name; ERROR when it names a parameter that the
 * definition has not.
 */
extern Query *substitute_params(Query *definition, Jsonb *params);

/*
 * Points a flattened definition (one relation, varno 1) at another relation of the
 * same shape: columns are matched by name and must have the same type.  Locks it,
 * and asks for the current user's SELECT privilege on the columns used.
 */
extern void substitute_source(Query *definition, Oid relid);

/*
 * Which relation `sources` (an object {"source": "replacement"}, NULL: none) puts in
 * the place of the definition's source.  ERROR when it names another one.
 */
extern Oid	source_replacement(Jsonb *sources, Oid source_relid);

#endif							/* DELTAFLOW_BATCH_SUBSTITUTE_H */
