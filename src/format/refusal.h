/*
 * refusal.h
 *		Making the value that says why a record is not a row.
 */
#ifndef DELTAFLOW_FORMAT_REFUSAL_H
#define DELTAFLOW_FORMAT_REFUSAL_H

#include "format/format.h"
#include "utils/elog.h"

/* All return false, so that `return refuse_record(...)` reads as the sentence it is. */
extern bool refuse_record(Refusal *refusal, int sqlstate, const char *column,
				   const char *message, ...) pg_attribute_printf(4, 5);

/* The same, with a detail already formatted (palloc'd or constant). */
extern bool refuse_with_detail(Refusal *refusal, int sqlstate, const char *column,
						  char *message, char *detail);

/* From an error that was caught or saved. */
extern bool refuse_error(Refusal *refusal, const char *column, const ErrorData *error);

/* A text from a record as it may stand in a message: cut to a bearable length. */
extern char *excerpt(const char *text, size_t len);

#endif							/* DELTAFLOW_FORMAT_REFUSAL_H */
