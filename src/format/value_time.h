/*
 * value_time.h
 *		Functions of the date and time types, for the table in value_text.c.
 */
#ifndef DELTAFLOW_FORMAT_VALUE_TIME_H
#define DELTAFLOW_FORMAT_VALUE_TIME_H

#include "format/value.h"

/* By the type's input function, but not what the clock has a say in. */
extern bool datetime_by_input(ValueReader *reader, const char *text, size_t len,
							  Datum *value, Refusal *refusal);

/* ISO texts by hand; digits alone when the column has a unit. */
extern bool text_to_timestamptz(ValueReader *reader, const char *text, size_t len,
								Datum *value, Refusal *refusal);
extern bool text_to_timestamp(ValueReader *reader, const char *text, size_t len,
							  Datum *value, Refusal *refusal);
extern bool text_to_date(ValueReader *reader, const char *text, size_t len,
						 Datum *value, Refusal *refusal);

/* JSON numbers. */
extern bool number_to_datetime(ValueReader *reader, const char *text, size_t len,
							   Datum *value, Refusal *refusal);
extern bool number_to_time(ValueReader *reader, const char *text, size_t len,
						   Datum *value, Refusal *refusal);

#endif							/* DELTAFLOW_FORMAT_VALUE_TIME_H */
