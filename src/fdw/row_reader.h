/*
 * row_reader.h
 *		Records of a bounded read as rows, or as reasons why they are none.
 */
#ifndef DELTAFLOW_FDW_ROW_READER_H
#define DELTAFLOW_FDW_ROW_READER_H

#include "fdw/bounded_read.h"
#include "format/format.h"

typedef struct RowReader RowReader;

/*
 * columns: those to decode (NULL: all), with the topic's constraints' own.  Lives
 * in CurrentMemoryContext.
 */
extern RowReader *row_reader_create(const Topic *topic, const Bitmapset *columns);

/* Reads from here on, and forgets what was read ahead. */
extern void row_reader_start(RowReader *reader, BoundedRead *read);

/*
 * The next record, NULL when there is none; *refusal is NULL when values and
 * isnull are its row, else says why it is none.  All are valid until the next call.
 * An error that is not the record's fault is raised.
 */
extern const KafkaRecord *row_reader_next(RowReader *reader, Datum *values, bool *isnull,
										  const Refusal **refusal);

#endif							/* DELTAFLOW_FDW_ROW_READER_H */
