/*
 * format_json.c
 *		Fuzz target: any bytes through the JSON walker and what reads its tokens.
 *
 * The message stands at the very end of its allocation but for the padding that
 * the walker may read, whose bytes are hostile: quotes and brackets that would
 * complete a broken message.  Checked for every input: tokens lie inside the
 * message, the same message gives the same tokens whatever the padding and
 * whatever the order prediction learned before, and unescaping never grows.
 *
 * test/unit/format_json.c runs it over seeds and mutations.  To fuzz for longer:
 *
 *		clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc test/fuzz/format_json.c \
 *			src/format/json_text.c src/format/number.c src/format/simdjson.o -lsimdjson -lstdc++
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format_json.h"
#include "format/json_text.h"
#include "format/json_walk.h"
#include "format/number.h"

#define NTOKENS 7
#define MAX_DEPTH 50

static JsonGuess root_guesses[JSON_GUESSES];
static JsonGuess b_guesses[JSON_GUESSES];
static JsonGuess bid_guesses[JSON_GUESSES];

/* a, b (wanted itself, with x inside), bid.price, and a name that no guess holds */
static JsonNode b_children[] = {{"x", 1, true, false, 3, 3}};
static JsonNode bid_children[] = {{"price", 5, true, false, 5, 5}};
static JsonNode root_children[] = {
	{"a", 1, true, false, 1, 1},
	{"b", 1, true, false, 2, 3, 1, b_children, b_guesses},
	{"bid", 3, false, false, 4, 5, 1, bid_children, bid_guesses},
	{"a long name of more than sixteen bytes", 38, true, false, 6, 6}
};
static JsonNode root = {"", 0, false, false, 0, 6, 4, root_children, root_guesses};

/* Forgets what was learned about the order of fields. */
static void
forget(JsonGuess *guesses)
{
	memset(guesses, 0, sizeof(JsonGuess) * JSON_GUESSES);
	for (int i = 0; i < JSON_GUESSES; i++)
		guesses[i].word[0] = 1;
}

static void
require(bool condition, const char *what)
{
	if (!condition)
	{
		fprintf(stderr, "format_json: %s\n", what);
		abort();
	}
}

/* A token must lie inside the message, and hold what its kind says. */
static void
check_token(const JsonToken *token, const char *message, size_t size)
{
	static const JsonLimits limits = {MAX_DEPTH, 100, 100};

	if (token->kind == JSON_ABSENT)
		return;
	require(token->text >= message && token->text + token->len <= message + size, "token outside of the message");
	if (token->kind == JSON_STRING)
	{
		char	   *plain = malloc(token->len + 1);
		size_t		len = 0;

		require(token->text[-1] == '"' && token->text[token->len] == '"', "string without quotes");
		require(token->escaped == (memchr(token->text, '\\', token->len) != NULL), "escaped");
		if (json_unescape(token->text, token->len, plain, &len) == JSON_FINE)
			require(len <= token->len, "unescaped text is longer");
		free(plain);
	}
	if (token->kind == JSON_NUMBER)
		number_check(token->text, token->len, 100, 100);
	if (token->kind == JSON_OBJECT || token->kind == JSON_ARRAY)
		require(strchr("{[", token->text[0]) != NULL && strchr("}]", token->text[token->len - 1]) != NULL, "brackets");
	json_scan(token->text, token->len, &limits);
}

/* One walk over a fresh copy with this padding. */
static JsonWalkResult
walk(JsonParser *parser, const uint8_t *data, size_t size, const char *padding,
	 JsonToken *tokens, ptrdiff_t *places, int *nunknown)
{
	char	   *message = malloc(size + JSON_WALK_PADDING);
	JsonField	fields[4];
	JsonFields	unknown = {fields, 0, 4, 0};
	JsonWalkResult result;

	memcpy(message, data, size);
	for (size_t i = 0; i < JSON_WALK_PADDING; i++)
		message[size + i] = padding[i % strlen(padding)];
	result = json_walk(parser, message, size, MAX_DEPTH, &root, tokens, &unknown);
	*nunknown = unknown.nfields + unknown.missing;
	if (result == JSON_WALK_OK)
	{
		for (int i = 0; i < NTOKENS; i++)
		{
			check_token(&tokens[i], message, size);
			places[i] = tokens[i].kind == JSON_ABSENT ? -1 : tokens[i].text - message;
		}
		for (int i = 0; i < unknown.nfields; i++)
			check_token(&fields[i].value, message, size);
	}
	free(message);
	return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static JsonParser *parser = NULL;
	static const char *const paddings[] = {"\"}]},{\"a\":1}", " ", "\\\"x"};
	JsonToken	tokens[2][NTOKENS];
	ptrdiff_t	places[2][NTOKENS];
	JsonWalkResult results[2];
	int			nunknown[2];

	if (parser == NULL)
		parser = json_parser_create();
	for (int i = 0; i < 3; i++)
	{
		int			to = i > 0;

		if (i != 1)
		{
			forget(root_guesses);
			forget(b_guesses);
			forget(bid_guesses);
		}
		results[to] = walk(parser, data, size, paddings[i], tokens[to], places[to], &nunknown[to]);
		require(results[to] == results[0], "padding or order changed the verdict");
		if (results[to] != JSON_WALK_OK)
			continue;
		require(nunknown[to] == nunknown[0], "padding or order changed the unknown fields");
		for (int n = 0; n < NTOKENS; n++)
			require(tokens[to][n].kind == tokens[0][n].kind &&
					(places[to][n] == places[0][n] && (places[0][n] < 0 || tokens[to][n].len == tokens[0][n].len)),
					"padding or order changed a token");
	}
	return 0;
}
