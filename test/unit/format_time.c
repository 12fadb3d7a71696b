/*
 * format_time.c
 *		format/iso_time.c against a calendar counted day by day.
 *
 * LINK: src/format/iso_time.c
 */
#include <stdlib.h>
#include <string.h>

#include "format/iso_time.h"
#include "tap.h"

/* Parses exactly these bytes, from memory that ends with them. */
static bool
parse(const char *text, IsoTime *iso)
{
	size_t		len = strlen(text);
	char	   *copy = malloc(len + 1);
	bool		fine;

	memcpy(copy + 1, text, len);
	fine = iso_time_parse(copy + 1, len, iso);
	free(copy);
	return fine;
}

/* Every day of ten thousand years, by adding one. */
static void
calendar(void)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int			day_number = -730119;	/* 0001-01-01, proleptic Gregorian */
	bool		right = true;
	bool		refused = true;

	for (int year = 1; year <= 9999; year++)
		for (int month = 1; month <= 12; month++)
		{
			int			leap = month == 2 && (year % 4 == 0) - (year % 100 == 0) + (year % 400 == 0);
			char		text[40];
			IsoTime		iso;

			for (int day = 1; day <= lengths[month - 1] + leap; day++)
			{
				snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
				right &= iso_time_parse(text, 10, &iso) && iso_time_days(&iso) == day_number++;
			}
			snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, lengths[month - 1] + leap + 1);
			refused &= !iso_time_parse(text, 10, &iso);
		}
	ok(right, "every day of the years 1 to 9999");
	ok(refused, "and no day after the last of a month");
	ok(day_number == 2921940, "the last day counted is the last of 9999");
}

static bool
time_is(const char *text, int64_t time, int fraction_digits, bool has_zone, int zone)
{
	IsoTime		iso;

	return parse(text, &iso) && iso.has_time && iso.time == time &&
		iso.fraction_digits == fraction_digits && iso.has_zone == has_zone && iso.zone == zone;
}

static void
times(void)
{
	ok(time_is("2026-11-01T00:00", 0, 0, false, 0), "minutes");
	ok(time_is("2026-11-01 23:59:59", INT64_C(86399000000), 0, false, 0), "seconds");
	ok(time_is("2026-11-01 00:00:01.5", 1500000, 1, false, 0), "one digit");
	ok(time_is("2026-11-01 00:00:01.000001", 1000001, 6, false, 0), "six digits");
	ok(time_is("2026-11-01 00:00:00Z", 0, 0, true, 0), "Z");
	ok(time_is("2026-11-01 00:00:00+05:30", 0, 0, true, 19800), "east");
	ok(time_is("2026-11-01 00:00:00.1-08", 100000, 1, true, -28800), "west");
	ok(time_is("2026-11-01 00:00-15:59", 0, 0, true, -57540), "the largest displacement");
}

static void
others(void)
{
	static const char *const texts[] = {
		"", "2026", "2026-11", "2026-11-1", "2026-11-01 ", "2026-11-01T", "2026-11-01X00:00", "2026-11-01 0:00", "2026-11-01 00",
		"2026-11-01 24:00", "2026-11-01 00:60", "2026-11-01 00:00:60", "2026-11-01 00:00:00.", "2026-11-01 00:00:00.1234567",
		"2026-11-01 00:00:00 Z", "2026-11-01 00:00:00+", "2026-11-01 00:00:00+1", "2026-11-01 00:00:00+16", "2026-11-01 00:00:00+01:60",
		"2026-11-01 00:00:00+01:", "2026-11-01 00:00:00+0100", "2026-11-01 00:00:00Z ", "2026-11-01 00:00:00UTC", "0000-01-01", "2026-13-01",
		"2026-00-01", "2026-01-00", "-026-01-01", "+2026-01-01", "02026-01-01", "2026-11-01 00:00:-1", "2026/11/01"
	};
	IsoTime		iso;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ok(!parse(texts[i], &iso), "\"%s\" is left to the input function", texts[i]);
}

static bool
clock_in(const char *text)
{
	return mentions_clock(text, strlen(text));
}

static bool
offset_in(const char *text)
{
	return names_offset(text, strlen(text));
}

static void
words(void)
{
	ok(clock_in("now") && clock_in(" NOW ") && clock_in("today 10:00") && clock_in("Tomorrow") &&
	   clock_in("10:00 yesterday") && clock_in("[now,)") && clock_in("12now3"), "words of the clock");
	ok(!clock_in("") && !clock_in("epoch") && !clock_in("infinity") && !clock_in("nowhere") && !clock_in("knows") &&
	   !clock_in("no w") && !clock_in("2026-11-01T00:00:00Z") && !clock_in("yesterdays") && !clock_in("NOVEMBER"), "other words");
	ok(offset_in("10:00Z") && offset_in("10:00 z") && offset_in("10:00+02") && offset_in("10:00:00.5-08:30 "), "offsets");
	ok(!offset_in("10:00") && !offset_in("") && !offset_in("Z+") && !offset_in("10:00 EST") && !offset_in("10:00 CEZ") &&
	   !offset_in("10:00 Europe/Berlin"), "none");
}

int
main(void)
{
	calendar();
	times();
	others();
	words();
	return done_testing();
}
