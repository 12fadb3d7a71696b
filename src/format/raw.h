/*
 * raw.h
 *		Bytes or text of one value, also used for keys and headers.
 */
#ifndef DELTAFLOW_FORMAT_RAW_H
#define DELTAFLOW_FORMAT_RAW_H

#include "lib/stringinfo.h"

#include "format/value.h"

/* Bytes of a record to a column of any type: bytea as they are, else by its input function. */
extern bool raw_value_decode(ValueReader *reader, const char *data, size_t len,
							 Datum *value, bool *isnull, Refusal *refusal);

typedef struct RawWriter
{
	bool		is_bytes;
	FmgrInfo	output;
} RawWriter;

extern void raw_writer_init(RawWriter *writer, Oid type);
extern void raw_write(RawWriter *writer, Datum value, StringInfo out);

#endif							/* DELTAFLOW_FORMAT_RAW_H */
