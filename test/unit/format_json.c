/*
 * format_json.c
 *		format/json_text.c and the walker of format/simdjson.cpp: the fuzz target of
 *		test/fuzz run over its seeds and over mutations of them.
 *
 * LINK: test/fuzz/format_json.c src/format/json_text.c src/format/number.c src/format/simdjson.o -lsimdjson -lstdc++
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../fuzz/format_json.h"
#include "format/json_text.h"
#include "tap.h"

static const char *const seeds[] = {
	"{\"event_type\":2,\"person\":null,\"auction\":null,\"bid\":{\"auction\":1001,\"bidder\":2001,\"price\":12345,\"channel\":\"apple\",\"url\":\"https://x/y\",\"dateTime\":\"2026-11-01 00:00:00.123\",\"extra\":\"\"}}",
	"{\"a\":1,\"b\":{\"x\":[1,{\"y\":2}],\"y\":\"\\u00e4\\ud83d\\ude00\"},\"a\":null}",
	"  { \"b\" : { } , \"c\" : [ ] , \"a long name of more than sixteen bytes\" : -1.5e10 , \"a\" : true }  ",
	"{\"\\u0061\":\"\\n\\\\\\\"\",\"b\":{\"x\":5},\"b\":7}",
	"{\"a\":\"}{][,:\",\"b\":{\"z\":\"\\\\\"}}",
	"{}", "[]", "null", "", "{\"a\":}", "{\"a\":1", "{\"b\":{\"x\":1}", "[[[[{\"a\":[[[{}]]]}]]]]"
};
#define NSEEDS (sizeof(seeds) / sizeof(seeds[0]))

static JsonFault
unescape(const char *text, const char *expected)
{
	size_t		len = strlen(text);
	char	   *in = malloc(len + 1);
	char	   *out = malloc(len + 1);
	size_t		out_len = 0;
	JsonFault	fault;

	memcpy(in, text, len);
	fault = json_unescape(in, len, out, &out_len);
	if (fault == JSON_FINE && (out_len != strlen(expected) || memcmp(out, expected, out_len) != 0))
		fault = -1;
	free(in);
	free(out);
	return fault;
}

static void
escapes(void)
{
	ok(unescape("", "") == JSON_FINE && unescape("plain", "plain") == JSON_FINE, "nothing to do");
	ok(unescape("\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t") == JSON_FINE, "short escapes");
	ok(unescape("\\u0041\\u00e4\\u20AC\\uD83D\\uDE00x", "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80x") == JSON_FINE, "code points");
	ok(unescape("\\u0000", "") == JSON_ZERO_CHARACTER, "zero");
	ok(unescape("\\ud800", "") == JSON_LONE_HIGH_SURROGATE && unescape("\\ud800x", "") == JSON_LONE_HIGH_SURROGATE &&
	   unescape("\\ud800\\u0041", "") == JSON_LONE_HIGH_SURROGATE && unescape("\\udc00", "") == JSON_LONE_LOW_SURROGATE, "lone surrogates");
	ok(unescape("\\x", "") == JSON_BAD_ESCAPE && unescape("\\", "") == JSON_BAD_ESCAPE, "no escape");
	ok(unescape("\\u123", "") == JSON_BAD_HEX && unescape("\\u12g4", "") == JSON_BAD_HEX && unescape("\\ud83d\\u12", "") == JSON_BAD_HEX, "no digits");
}

static JsonFault
scan(const char *text)
{
	static const JsonLimits limits = {3, 5, 20};

	return json_scan(text, strlen(text), &limits);
}

static void
limits(void)
{
	ok(scan("[[[1]]]") == JSON_FINE && scan("[[[[1]]]]") == JSON_TOO_DEEP && scan("[{},{},{},[],[]]") == JSON_FINE, "depth");
	ok(scan("[12345]") == JSON_FINE && scan("[123456]") == JSON_TOO_MANY_DIGITS && scan("{\"a123456\":\"1234567\"}") == JSON_FINE, "digits");
	ok(scan("1e20") == JSON_FINE && scan("{\"a\":[1e21]}") == JSON_EXPONENT_TOO_LARGE, "exponents");
	ok(scan("[\"\\u0000\"]") == JSON_ZERO_CHARACTER && scan("{\"\\ud800\":1}") == JSON_LONE_HIGH_SURROGATE, "escapes, in keys too");
	ok(scan("\"[[[[\\\"[[[[\"") == JSON_FINE, "brackets in strings");
}

/* Cuts, flips and splices: what breaks parsers.  The sanitizers are the judge. */
static void
mutations(void)
{
	uint8_t		buffer[1024];
	int			walked = 0;

	srandom(4711);
	for (int i = 0; i < 200000; i++)
	{
		const char *seed = seeds[random() % NSEEDS];
		size_t		len = strlen(seed);

		memcpy(buffer, seed, len);
		for (int n = random() % 4; n > 0 && len > 0; n--)
			switch (random() % 4)
			{
				case 0:
					buffer[random() % len] = "{}[],:\"\\ 0a\xff\xc3"[random() % 13];
					break;
				case 1:
					len = random() % (len + 1);
					break;
				case 2:
					{
						size_t		at = random() % len;

						memmove(buffer + at, buffer + at + 1, len - at - 1);
						len--;
						break;
					}
				case 3:
					{
						const char *other = seeds[random() % NSEEDS];
						size_t		cut = random() % len;
						size_t		from = strlen(other) > 0 ? random() % strlen(other) : 0;

						memcpy(buffer + cut, other + from, strlen(other) - from);
						len = cut + strlen(other) - from;
					}
			}
		walked += LLVMFuzzerTestOneInput(buffer, len) == 0;
	}
	ok(walked == 200000, "200,000 mutations, seed 4711");
}

int
main(void)
{
	bool		fine = true;

	escapes();
	limits();
	for (size_t i = 0; i < NSEEDS; i++)
		fine &= LLVMFuzzerTestOneInput((const uint8_t *) seeds[i], strlen(seeds[i])) == 0;
	ok(fine, "the seeds");
	mutations();
	return done_testing();
}
