/*
 * soft_call.h
 *		Calling input functions so that bad input is a value.
 */
#ifndef DELTAFLOW_FORMAT_SOFT_CALL_H
#define DELTAFLOW_FORMAT_SOFT_CALL_H

#include "fmgr.h"

#include "format/format.h"

/* Whether the input function of a type reads nothing but its argument. */
extern bool type_input_is_pure(Oid type);

/*
 * The type's input function.  False and a refusal on bad input, when the function
 * can say so softly (16 and newer) or is pure; else it throws.
 */
extern bool soft_input(FmgrInfo *input, bool pure, char *text, Oid ioparam, int32 typmod,
					   const char *column, Datum *value, Refusal *refusal);

/*
 * Runs body(arg), which must be pure in the same sense: an error in the data
 * becomes a refusal, any other error goes on.
 */
typedef void (*SoftBody) (void *arg);
extern bool soft_call(SoftBody body, void *arg, const char *column, Refusal *refusal);

#endif							/* DELTAFLOW_FORMAT_SOFT_CALL_H */
