/*
 * json_text.h
 *		What is inside JSON strings and values: escapes, limits.  Pure functions.
 */
#ifndef DELTAFLOW_FORMAT_JSON_TEXT_H
#define DELTAFLOW_FORMAT_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef enum JsonFault
{
	JSON_FINE,
	JSON_BAD_ESCAPE,			/* backslash and some other character */
	JSON_BAD_HEX,				/* \u without four hexadecimal digits */
	JSON_ZERO_CHARACTER,		/* \u0000 */
	JSON_LONE_HIGH_SURROGATE,
	JSON_LONE_LOW_SURROGATE,
	JSON_TOO_DEEP,
	JSON_TOO_MANY_DIGITS,
	JSON_EXPONENT_TOO_LARGE
} JsonFault;

typedef struct JsonLimits
{
	int			depth;
	int			digits;
	int			exponent;
} JsonLimits;

/* Between the quotes to UTF-8; out has room for len bytes.  out may be NULL. */
extern JsonFault json_unescape(const char *text, size_t len, char *out, size_t *out_len);

/*
 * Limits and escapes of everything inside a value's text.  Its grammar is not
 * checked; an invalid text gives some answer.
 */
extern JsonFault json_scan(const char *text, size_t len, const JsonLimits *limits);

#endif							/* DELTAFLOW_FORMAT_JSON_TEXT_H */
