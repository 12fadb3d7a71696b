/*
 * tap.h
 *		The few lines of TAP that unit tests print.
 *
 * ok(condition, "name %d", ...) per test, done_testing() as main's return value.
 */
#ifndef DELTAFLOW_TEST_TAP_H
#define DELTAFLOW_TEST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* the server's headers put its own printf in the place of the C library's */
#undef printf
#undef vprintf

static int	tap_run = 0;
static int	tap_failed = 0;

/* Prints one result; returns the condition. */
static inline bool
ok(bool condition, const char *name,...)
{
	va_list		args;

	printf("%sok %d - ", condition ? "" : "not ", ++tap_run);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	if (!condition)
		tap_failed++;
	return condition;
}

/* Prints the plan; the exit status of the program. */
static inline int
done_testing(void)
{
	printf("1..%d\n", tap_run);
	return tap_failed != 0;
}

#endif							/* DELTAFLOW_TEST_TAP_H */
