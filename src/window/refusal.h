/*
 * refusal.h
 *		Why arguments make no windows: a value.  Whoever meets the user raises it.
 */
#ifndef DELTAFLOW_WINDOW_REFUSAL_H
#define DELTAFLOW_WINDOW_REFUSAL_H

typedef enum WindowRefusalCode
{
	WINDOW_ACCEPTED,
	WINDOW_HAS_MONTHS,
	WINDOW_IS_INFINITE,
	WINDOW_NOT_POSITIVE,
	WINDOW_TOO_LONG,
	WINDOW_NO_MULTIPLE,
	WINDOW_TOO_MANY,
	WINDOW_BAD_ORIGIN
} WindowRefusalCode;

typedef struct WindowRefusal
{
	WindowRefusalCode code;
	const char *argument;		/* the one that is at fault: slide, step, size, gap, origin */
} WindowRefusal;

/* How to say it.  The message has one %s, for the argument; the others have none, or are NULL. */
typedef struct WindowRefusalText
{
	int			sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
} WindowRefusalText;

extern const WindowRefusalText *window_refusal_text(WindowRefusalCode code);

#endif							/* DELTAFLOW_WINDOW_REFUSAL_H */
