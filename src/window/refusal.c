/*
 * refusal.c
 *		What to say of arguments that make no windows.
 *
 * The codes are values of pure functions (pane.c, session.c); the SQL functions and
 * the analysis of definitions say the same words about them, which stand here.
 */
#include "postgres.h"

#include "window/pane.h"
#include "window/refusal.h"

#define STRING_OF(number)	#number
#define AS_TEXT(number)		STRING_OF(number)

static const WindowRefusalText texts[] = {
	[WINDOW_ACCEPTED] = {
		.sqlstate = ERRCODE_SUCCESSFUL_COMPLETION,
		.message = "%s is accepted",
	},
	[WINDOW_HAS_MONTHS] = {
		.sqlstate = ERRCODE_FEATURE_NOT_SUPPORTED,
		.message = "%s of a window must not contain months or years",
		.detail = "Months and years have no fixed length.",
		.hint = "Give it in days or shorter units; windows of the calendar are made by GROUP BY date_trunc().",
	},
	[WINDOW_IS_INFINITE] = {
		.sqlstate = ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
		.message = "%s of a window must be finite",
	},
	[WINDOW_NOT_POSITIVE] = {
		.sqlstate = ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
		.message = "%s of a window must be greater than zero",
	},
	[WINDOW_TOO_LONG] = {
		.sqlstate = ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
		.message = "%s of a window is out of range",
		.detail = "It is longer than any two timestamps are apart.",
	},
	[WINDOW_NO_MULTIPLE] = {
		.sqlstate = ERRCODE_INVALID_PARAMETER_VALUE,
		.message = "%s of cumulative windows must be a multiple of their step",
		.detail = "The windows of a cycle end at every step, the last one where the next cycle begins.",
	},
	[WINDOW_TOO_MANY] = {
		.sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED,
		.message = "%s makes too many windows",
		.detail = "A row would fall in more than " AS_TEXT(MAX_WINDOWS_PER_ROW) " of them.",
		.hint = "Make the windows shorter, or let them follow each other at a greater distance.",
	},
	[WINDOW_BAD_ORIGIN] = {
		.sqlstate = ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
		.message = "%s of windows must be finite",
	},
};

const WindowRefusalText *
window_refusal_text(WindowRefusalCode code)
{
	return &texts[code];
}
