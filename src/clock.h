/*
 * clock.h
 *		The only clock of deltaflow: real, or set by a test.
 *
 * Lateness never reads it (watermarks come from event times); it serves idle
 * timeouts, the future guard and statistics.
 */
#ifndef DELTAFLOW_CLOCK_H
#define DELTAFLOW_CLOCK_H

#include "datatype/timestamp.h"

/* now, or the value of deltaflow.test_clock when that is set */
extern TimestampTz clock_now(void);
extern void clock_init_settings(void);

#endif							/* DELTAFLOW_CLOCK_H */
