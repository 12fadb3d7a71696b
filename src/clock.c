/*
 * clock.c
 *		Real time, unless the superuser setting deltaflow.test_clock fixes it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "clock.h"

static char *test_clock = NULL;

TimestampTz
clock_now(void)
{
	if (test_clock == NULL || test_clock[0] == '\0')
		return GetCurrentTimestamp();
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
												   CStringGetDatum(test_clock),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
}

void
clock_init_settings(void)
{
	DefineCustomStringVariable("deltaflow.test_clock",
							   "Fixes the time that idle timeouts and the future guard see, for tests.",
							   NULL, &test_clock, "", PGC_SUSET, GUC_NOT_IN_SAMPLE,
							   NULL, NULL, NULL);
}
