/*
 * relation.h
 *		Small facts about relations.
 */
#ifndef DELTAFLOW_INGEST_RELATION_H
#define DELTAFLOW_INGEST_RELATION_H

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "utils/syscache.h"

/* The relation's owner; ERROR when it is gone. */
static inline Oid
relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

#endif							/* DELTAFLOW_INGEST_RELATION_H */
