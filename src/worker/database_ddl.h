/*
 * database_ddl.h
 *		Commands that cannot run while workers are connected or active.
 */
#ifndef DELTAFLOW_WORKER_DATABASE_DDL_H
#define DELTAFLOW_WORKER_DATABASE_DDL_H

/* Installs the utility hook; from _PG_init, while libraries are preloaded. */
extern void database_ddl_init(void);

#endif							/* DELTAFLOW_WORKER_DATABASE_DDL_H */
