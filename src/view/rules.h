/*
 * rules.h
 *		What a definition may not contain, each as a value with its alternative.
 */
#ifndef DELTAFLOW_VIEW_RULES_H
#define DELTAFLOW_VIEW_RULES_H

#include "utils/relcache.h"

#include "view/view_spec.h"

/* A refusal with SQLSTATE feature_not_supported; the texts are kept, not copied. */
extern ViewRefusal *refuse(int location, const char *message, const char *detail, const char *hint);

/* Clauses of one query level; outermost: the level that may aggregate. */
extern ViewRefusal *refuse_query(Query *query, bool outermost);

/* The one relation that a flattened definition reads, and how it is named in FROM. */
extern ViewRefusal *refuse_relation(Relation relation, const RangeTblEntry *rte);

/* Column of the source that a Var names: whole rows, system and virtual columns. */
extern ViewRefusal *refuse_column(Oid relid, const Var *var);

/* An expression over the source whose value does not follow from the row alone (volatility.c). */
extern ViewRefusal *refuse_changing(Node *expression);

/* An aggregate call that cannot be kept (aggregates.c decides how the others are). */
extern ViewRefusal *refuse_aggregate(const Aggref *aggref);

/* A grouping expression of this type, collation and operators. */
extern ViewRefusal *refuse_key(const Expr *key, const SortGroupClause *clause);

#endif							/* DELTAFLOW_VIEW_RULES_H */
