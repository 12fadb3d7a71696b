/*
 * iso_time.h
 *		The one spelling of dates and times that programs send: pure functions.
 */
#ifndef DELTAFLOW_FORMAT_ISO_TIME_H
#define DELTAFLOW_FORMAT_ISO_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IsoTime
{
	int			year;			/* 1 .. 9999 */
	int			month;
	int			day;
	int64_t		time;			/* microseconds of the day */
	int			fraction_digits;
	bool		has_time;
	bool		has_zone;
	int			zone;			/* seconds east of Greenwich */
} IsoTime;

/*
 * YYYY-MM-DD[( |T)HH:MM[:SS[.ffffff]][Z|+hh[:mm]|-hh[:mm]]] with every part in
 * its range; false on anything else, however valid elsewhere.
 */
extern bool iso_time_parse(const char *text, size_t len, IsoTime *iso);

/* Days since 2000-01-01 of its date. */
extern int	iso_time_days(const IsoTime *iso);

/* Whether a date/time text has a word whose meaning depends on the clock. */
extern bool mentions_clock(const char *text, size_t len);

/* Whether a time text ends in Z or a numeric offset from Greenwich. */
extern bool names_offset(const char *text, size_t len);

#endif							/* DELTAFLOW_FORMAT_ISO_TIME_H */
