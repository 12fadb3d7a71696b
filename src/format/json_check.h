/*
 * json_check.h
 *		Whether a text is JSON, in the server's words.
 */
#ifndef DELTAFLOW_FORMAT_JSON_CHECK_H
#define DELTAFLOW_FORMAT_JSON_CHECK_H

#include "format/format.h"

/* text is in the server's encoding and need not be terminated. */
extern bool json_check(const char *text, size_t len, const char *column, Refusal *refusal);

#endif							/* DELTAFLOW_FORMAT_JSON_CHECK_H */
