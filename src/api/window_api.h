/*
 * window_api.h
 *		Raising what the pure functions of src/window refuse.
 */
#ifndef DELTAFLOW_API_WINDOW_API_H
#define DELTAFLOW_API_WINDOW_API_H

#include "window/refusal.h"

/* Returns if the arguments were accepted. */
extern void window_check_accepted(WindowRefusal refusal);

#endif							/* DELTAFLOW_API_WINDOW_API_H */
