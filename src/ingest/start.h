/*
 * start.h
 *		Making a pipeline: a start as the user wrote it becomes numbers, and rows.
 */
#ifndef DELTAFLOW_INGEST_START_H
#define DELTAFLOW_INGEST_START_H

#include "catalog/catalog.h"
#include "fdw/topic.h"

/*
 * Inserts the pipeline (name, topic, target, filter, options and start_at of row
 * are used) with one position per partition, and returns its id.  earliest,
 * latest and a time ask the broker, with the rights of userid's user mapping;
 * offsets per partition need none.  ERROR when the start is not understood.
 */
extern int64 pipeline_create(const PipelineRow *row, Oid userid);

/* Where the text means to begin, for each partition it resolves to; palloc'd. */
extern KafkaPosition *start_resolve(const Topic *topic, const char *text, int *n);

#endif							/* DELTAFLOW_INGEST_START_H */
