/*
 * validator.h
 *		Whether the options of an object of wrapper deltaflow_kafka may be so.
 */
#ifndef DELTAFLOW_FDW_VALIDATOR_H
#define DELTAFLOW_FDW_VALIDATOR_H

#include "nodes/pg_list.h"

/*
 * options: all of them, as DefElems with string values.  catalog: the catalog
 * that keeps the object (pg_foreign_server, ...).  ERROR with a hint when refused.
 */
extern void validate_options(List *options, Oid catalog);

#endif							/* DELTAFLOW_FDW_VALIDATOR_H */
