/*
 * json_encode.h
 *		Rows to JSON objects, for INSERT.
 */
#ifndef DELTAFLOW_FORMAT_JSON_ENCODE_H
#define DELTAFLOW_FORMAT_JSON_ENCODE_H

#include "lib/stringinfo.h"

#include "format/format.h"

/* Members of the vtable (codec.h). */
extern void *json_encode_compile(const Topic *topic);
extern void json_encode(void *state, const Datum *values, const bool *isnull, StringInfo out);

/* One value as JSON. */
typedef struct JsonWriter JsonWriter;
extern JsonWriter *json_writer_create(const TopicColumn *column);
extern void json_write(JsonWriter *writer, Datum value, StringInfo out);

#endif							/* DELTAFLOW_FORMAT_JSON_ENCODE_H */
