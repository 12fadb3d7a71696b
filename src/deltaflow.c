/*
 * deltaflow.c
 *		Module entry: settings, hooks and shared memory of each part, in a row.
 *
 * Nothing else lives here.  src/README.md is the tour.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
}
