/*
 * create.h
 *		Making, dropping and repositioning ingests: what the SQL functions do.
 *
 * All of it only writes the catalog, in the caller's transaction; workers act when
 * that commits.
 */
#ifndef DELTAFLOW_INGEST_CREATE_H
#define DELTAFLOW_INGEST_CREATE_H

/* Checks everything that can be checked now, resolves the start, and stores the pipeline; returns its name. */
extern char *ingest_create(Oid topic, Oid target, const char *start, const char *name,
						   const char *filter, const char *options);

extern void ingest_drop(const char *name);

/* The next record to read of a partition, by the owner's decision, logged as an epoch without records. */
extern void ingest_set_position(const char *name, int32 partition, int64 next_offset);

/* Objects were dropped (sql_drop): pipelines whose target is gone go too; a topic in use may not. */
extern void ingest_relations_dropped(void);

/* A foreign table was altered: it may not name another topic while a pipeline has positions in the old one. */
extern void ingest_topics_altered(void);

#endif							/* DELTAFLOW_INGEST_CREATE_H */
