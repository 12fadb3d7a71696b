/*
 * iso_time.c
 *		The one spelling of dates and times that programs send.
 *
 * As in number.c: false means "ask the type's own input function", and what is
 * accepted must mean what that function says, under every DateStyle.  A year of
 * four digits in front is read as year, month, day under all of them.
 *
 * No PostgreSQL here: test/unit checks this file against naive models.
 */
#include <string.h>

#include "iso_time.h"

/* PostgreSQL refuses larger displacements */
#define MAX_ZONE_HOUR 15

/* A reader of fixed-width parts; once a part is wrong, `text` is NULL. */
typedef struct Cursor
{
	const char *text;
	const char *end;
} Cursor;

static inline bool
is_digit(char c)
{
	return (unsigned char) (c - '0') < 10;
}

/* The value of n digits, -1 when they are not there. */
static inline int
take_digits(Cursor *cursor, int n)
{
	int			value = 0;

	if (cursor->end - cursor->text < n)
		return -1;
	for (int i = 0; i < n; i++)
	{
		if (!is_digit(cursor->text[i]))
			return -1;
		value = value * 10 + (cursor->text[i] - '0');
	}
	cursor->text += n;
	return value;
}

/* Steps over one character if it is the next. */
static inline bool
take_char(Cursor *cursor, char c)
{
	if (cursor->text == cursor->end || *cursor->text != c)
		return false;
	cursor->text++;
	return true;
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* YYYY-MM-DD */
static bool
take_date(Cursor *cursor, IsoTime *iso)
{
	iso->year = take_digits(cursor, 4);
	if (iso->year < 1 || !take_char(cursor, '-'))
		return false;
	iso->month = take_digits(cursor, 2);
	if (iso->month < 1 || iso->month > 12 || !take_char(cursor, '-'))
		return false;
	iso->day = take_digits(cursor, 2);
	return iso->day >= 1 && iso->day <= days_of_month(iso->year, iso->month);
}

/* .ffffff: one to six digits as microseconds, -1 otherwise */
static int
take_fraction(Cursor *cursor, IsoTime *iso)
{
	int			value = 0;
	int			n = 0;

	while (cursor->text < cursor->end && is_digit(*cursor->text))
	{
		if (++n > 6)
			return -1;
		value = value * 10 + (*cursor->text++ - '0');
	}
	iso->fraction_digits = n;
	if (n == 0)
		return -1;
	while (n++ < 6)
		value *= 10;
	return value;
}

/* HH:MM[:SS[.ffffff]]; leap seconds and 24:00 are left to the input function */
static bool
take_clock(Cursor *cursor, IsoTime *iso)
{
	int			hour = take_digits(cursor, 2);
	int			minute;
	int			second = 0;
	int			micros = 0;

	if (hour < 0 || hour > 23 || !take_char(cursor, ':'))
		return false;
	minute = take_digits(cursor, 2);
	if (minute < 0 || minute > 59)
		return false;
	if (take_char(cursor, ':'))
	{
		second = take_digits(cursor, 2);
		if (second < 0 || second > 59)
			return false;
		if (take_char(cursor, '.'))
			micros = take_fraction(cursor, iso);
		if (micros < 0)
			return false;
	}
	iso->time = ((int64_t) (hour * 60 + minute) * 60 + second) * 1000000 + micros;
	iso->has_time = true;
	return true;
}

/* Z, +hh, +hh:mm, -hh, -hh:mm, or nothing */
static bool
take_zone(Cursor *cursor, IsoTime *iso)
{
	int			sign;
	int			hour;
	int			minute = 0;

	if (cursor->text == cursor->end)
		return true;
	iso->has_zone = true;
	if (take_char(cursor, 'Z'))
		return true;
	sign = *cursor->text == '-' ? -1 : 1;
	if (!take_char(cursor, '+') && !take_char(cursor, '-'))
		return false;
	hour = take_digits(cursor, 2);
	if (hour < 0 || hour > MAX_ZONE_HOUR)
		return false;
	if (take_char(cursor, ':'))
	{
		minute = take_digits(cursor, 2);
		if (minute < 0 || minute > 59)
			return false;
	}
	iso->zone = sign * (hour * 60 + minute) * 60;
	return true;
}

/* YYYY-MM-DD[( |T)HH:MM[:SS[.ffffff]][zone]] */
bool
iso_time_parse(const char *text, size_t len, IsoTime *iso)
{
	Cursor		cursor = {text, text + len};

	memset(iso, 0, sizeof(*iso));
	if (!take_date(&cursor, iso))
		return false;
	if (cursor.text == cursor.end)
		return true;
	if (!take_char(&cursor, 'T') && !take_char(&cursor, ' '))
		return false;
	return take_clock(&cursor, iso) && take_zone(&cursor, iso) && cursor.text == cursor.end;
}

/*
 * Counts from 1 March of year 0, so that the leap day is the last of its year:
 * 365 days a year, the leap days so far, and 153 days in any five months from
 * March.
 */
int
iso_time_days(const IsoTime *iso)
{
	int			year = iso->month > 2 ? iso->year : iso->year - 1;
	int			month = iso->month > 2 ? iso->month - 3 : iso->month + 9;
	int			days = year * 365 + year / 4 - year / 100 + year / 400 +
		(153 * month + 2) / 5 + iso->day - 1;

	return days - 730425;		/* 2000-01-01 */
}

static inline bool
is_letter(char c)
{
	return (unsigned char) ((c | 0x20) - 'a') < 26;
}

/* Whether a run of letters is this word in any case. */
static bool
word_is(const char *text, size_t len, const char *word)
{
	for (size_t i = 0; i < len; i++)
		if ((text[i] | 0x20) != word[i])
			return false;
	return word[len] == '\0';
}

/*
 * 'epoch', 'infinity' and 'allballs' mean the same at any time; these do not.
 */
bool
mentions_clock(const char *text, size_t len)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
	const char *end = text + len;

	while (text < end)
	{
		const char *start = text;

		while (text < end && is_letter(*text))
			text++;
		for (size_t i = 0; text > start && i < sizeof(words) / sizeof(words[0]); i++)
			if (word_is(start, text - start, words[i]))
				return true;
		text += text == start;
	}
	return false;
}

/* A time of day in a named zone has the offset that zone has today. */
bool
names_offset(const char *text, size_t len)
{
	const char *end = text + len;
	const char *last;

	while (end > text && end[-1] == ' ')
		end--;
	if (end > text && (end[-1] | 0x20) == 'z')
		return end - 1 == text || !is_letter(end[-2]);
	for (last = end; last > text && (is_digit(last[-1]) || last[-1] == ':');)
		last--;
	return last > text && last < end && (last[-1] == '+' || last[-1] == '-');
}
