/*
 * json_text.c
 *		What is inside JSON strings and values: escapes, limits.
 *
 * The parser in front (simdjson, or PostgreSQL's) has checked UTF-8, quotes and
 * control characters; here the escapes are checked and resolved, because its
 * versions differ in what they do to lone surrogates, and PostgreSQL refuses
 * \u0000.
 *
 * No PostgreSQL here: test/unit and test/fuzz link this file alone.
 */
#include <string.h>

#include "json_text.h"
#include "number.h"

/* Value of four hexadecimal digits, -1 when they are not there. */
static int
take_hex(const char *text, const char *end)
{
	int			code = 0;

	if (end - text < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char		c = text[i];
		char		lower = c | 0x20;

		if (c >= '0' && c <= '9')
			code = code << 4 | (c - '0');
		else if (lower >= 'a' && lower <= 'f')
			code = code << 4 | (lower - 'a' + 10);
		else
			return -1;
	}
	return code;
}

/* A code point as UTF-8; its length. */
static size_t
put_utf8(char *out, unsigned code)
{
	if (code < 0x80)
	{
		out[0] = code;
		return 1;
	}
	if (code < 0x800)
	{
		out[0] = 0xC0 | (code >> 6);
		out[1] = 0x80 | (code & 0x3F);
		return 2;
	}
	if (code < 0x10000)
	{
		out[0] = 0xE0 | (code >> 12);
		out[1] = 0x80 | ((code >> 6) & 0x3F);
		out[2] = 0x80 | (code & 0x3F);
		return 3;
	}
	out[0] = 0xF0 | (code >> 18);
	out[1] = 0x80 | ((code >> 12) & 0x3F);
	out[2] = 0x80 | ((code >> 6) & 0x3F);
	out[3] = 0x80 | (code & 0x3F);
	return 4;
}

/* \uXXXX, or a pair of them, from behind the backslash; *text moves behind it. */
static JsonFault
take_unicode(const char **text, const char *end, unsigned *code)
{
	int			first = take_hex(*text + 1, end);
	int			second;

	if (first < 0)
		return JSON_BAD_HEX;
	if (first == 0)
		return JSON_ZERO_CHARACTER;
	if (first >= 0xDC00 && first <= 0xDFFF)
		return JSON_LONE_LOW_SURROGATE;
	*text += 5;
	*code = first;
	if (first < 0xD800 || first > 0xDBFF)
		return JSON_FINE;
	if (end - *text < 2 || (*text)[0] != '\\' || (*text)[1] != 'u')
		return JSON_LONE_HIGH_SURROGATE;
	second = take_hex(*text + 2, end);
	if (second < 0)
		return JSON_BAD_HEX;
	if (second < 0xDC00 || second > 0xDFFF)
		return JSON_LONE_HIGH_SURROGATE;
	*code = 0x10000 + ((first & 0x3FF) << 10 | (second & 0x3FF));
	*text += 6;
	return JSON_FINE;
}

/* One escape from behind the backslash to UTF-8; *text moves behind it. */
static JsonFault
take_escape(const char **text, const char *end, char *out, size_t *out_len)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	unsigned	code;
	JsonFault	fault;

	if (*text == end)
		return JSON_BAD_ESCAPE;
	if (**text == 'u')
	{
		fault = take_unicode(text, end, &code);
		if (fault == JSON_FINE)
			*out_len = put_utf8(out, code);
		return fault;
	}
	found = memchr(from, **text, sizeof(from) - 1);
	if (found == NULL)
		return JSON_BAD_ESCAPE;
	out[0] = to[found - from];
	*out_len = 1;
	(*text)++;
	return JSON_FINE;
}

/* Between the quotes to UTF-8: never longer than what it came from. */
JsonFault
json_unescape(const char *text, size_t len, char *out, size_t *out_len)
{
	const char *end = text + len;
	size_t		at = 0;

	while (text < end)
	{
		const char *backslash = memchr(text, '\\', end - text);
		size_t		plain = (backslash ? backslash : end) - text;
		char		bytes[4];
		size_t		n;
		JsonFault	fault;

		if (out != NULL)
			memcpy(out + at, text, plain);
		at += plain;
		text += plain;
		if (backslash == NULL)
			break;
		text++;
		fault = take_escape(&text, end, bytes, &n);
		if (fault != JSON_FINE)
			return fault;
		if (out != NULL)
			memcpy(out + at, bytes, n);
		at += n;
	}
	if (out_len != NULL)
		*out_len = at;
	return JSON_FINE;
}

/* The closing quote of a string from behind its opening one. */
static const char *
string_end(const char *text, const char *end)
{
	while (text < end && *text != '"')
		text += *text == '\\' && end - text > 1 ? 2 : 1;
	return text;
}

static bool
in_number(char c)
{
	return (c >= '0' && c <= '9') || c == '.' || c == '+' || c == '-' || (c | 0x20) == 'e';
}

/* One number from its first character; *text moves behind it. */
static JsonFault
scan_number(const char **text, const char *end, const JsonLimits *limits)
{
	const char *start = *text;

	while (*text < end && in_number(**text))
		(*text)++;
	switch (number_check(start, *text - start, limits->digits, limits->exponent))
	{
		case NUMBER_TOO_MANY_DIGITS:
			return JSON_TOO_MANY_DIGITS;
		case NUMBER_EXPONENT_TOO_LARGE:
			return JSON_EXPONENT_TOO_LARGE;
		case NUMBER_OK:
		case NUMBER_MALFORMED:
			break;
	}
	return JSON_FINE;
}

/* Depth, numbers and escapes of a value's text. */
JsonFault
json_scan(const char *text, size_t len, const JsonLimits *limits)
{
	const char *end = text + len;
	int			depth = 0;

	while (text < end)
	{
		JsonFault	fault = JSON_FINE;

		if (*text == '"')
		{
			const char *close = string_end(text + 1, end);

			fault = json_unescape(text + 1, close - text - 1, NULL, NULL);
			text = close < end ? close + 1 : end;
		}
		else if (*text == '-' || (*text >= '0' && *text <= '9'))
			fault = scan_number(&text, end, limits);
		else
		{
			if ((*text == '{' || *text == '[') && ++depth > limits->depth)
				return JSON_TOO_DEEP;
			depth -= *text == '}' || *text == ']';
			text++;
		}
		if (fault != JSON_FINE)
			return fault;
	}
	return JSON_FINE;
}
