/*
 * session_table.h
 *		Finding stored sessions of a key by time.
 */
#ifndef DELTAFLOW_MAINTAIN_SESSION_TABLE_H
#define DELTAFLOW_MAINTAIN_SESSION_TABLE_H

#include "maintain/session_cache.h"
#include "maintain/state_table.h"

typedef struct SessionTable SessionTable;

/* A row found; columns by attnum - 1, valid until the next search. */
typedef struct StoredSession
{
	ItemPointerData tid;
	TransactionId xmin;
	TimestampTz first;
	TimestampTz last;
	Datum	   *values;
	bool	   *isnull;
} StoredSession;

/* Of an open state table, to be closed before it.  In CurrentMemoryContext. */
extern SessionTable *session_table_open(StateTable *table, const ViewSpec *spec, const SessionCache *cache);
extern void session_table_close(SessionTable *table);

/* Which session of a key is meant; times are first times. */
typedef enum SessionSearch
{
	SESSION_NEWEST,				/* the last of all */
	SESSION_UPTO,				/* the last that begins at or before `at` */
	SESSION_AFTER,				/* the first that begins after `at` */
	SESSION_TIMELESS			/* that of rows without a time */
} SessionSearch;

/* False: there is none. */
extern bool session_table_find(SessionTable *table, const SessionKey *key, SessionSearch search,
							   TimestampTz at, StoredSession *found);

/* The greatest last time stored, for tables that are quickly read; infinity for others. */
extern TimestampTz session_table_newest(SessionTable *table);

#endif							/* DELTAFLOW_MAINTAIN_SESSION_TABLE_H */
