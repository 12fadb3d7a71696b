/*
 * window_api.h
 *		What entry points over src/window share: raising refusals, returning windows.
 */
#ifndef DELTAFLOW_API_WINDOW_API_H
#define DELTAFLOW_API_WINDOW_API_H

#include "nodes/execnodes.h"

#include "window/refusal.h"

/* Returns if the arguments were accepted. */
extern void window_check_accepted(WindowRefusal refusal);

/*
 * A tuplestore for a call that is made once per row of a lateral join: the caller
 * knows the columns, so they need not be looked up.
 */
extern void window_result_begin(ReturnSetInfo *result);

#endif							/* DELTAFLOW_API_WINDOW_API_H */
