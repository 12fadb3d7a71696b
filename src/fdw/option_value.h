/*
 * option_value.h
 *		Texts of options to values: pure, no catalog.
 *
 * Each returns false when the text is not such a value; nothing is raised.
 */
#ifndef DELTAFLOW_FDW_OPTION_VALUE_H
#define DELTAFLOW_FDW_OPTION_VALUE_H

#include "datatype/timestamp.h"
#include "fdw/topic.h"

/* A span of time of fixed length ('30 s', '1 day'), not negative: months have no length. */
extern bool parse_span(const char *text, int64 *microseconds);

/* A point in time; *has_zone says whether the text names its zone, else it was read in the session's. */
extern bool parse_time(const char *text, TimestampTz *time, bool *has_zone);

/* 'a.b' to {"a","b"}; a backslash takes the next character as it is. */
extern bool parse_field(const char *text, int *path_len, char ***path);

/* A non-negative integer and nothing else. */
extern bool parse_offset(const char *text, int64 *offset);

#endif							/* DELTAFLOW_FDW_OPTION_VALUE_H */
