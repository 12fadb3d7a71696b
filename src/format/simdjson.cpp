/*
 * simdjson.cpp
 *		One JSON object to the raw tokens of the wanted fields, by simdjson's
 *		on-demand parser.
 *
 * In comes a message of bytes and the tree of wanted fields; out go pointers into
 * that message.  simdjson's first stage finds every structural character and
 * checks UTF-8, quotes and control characters in strings, for the whole message.
 * The second visits every field of the objects on the way to wanted values once,
 * in order, because of a key given twice the last counts.  Fields nobody wants are
 * stepped over by counting brackets, not read.
 *
 * This is the only C++ file.  It must not call into PostgreSQL: an ereport()
 * would jump over C++ frames.  Memory is malloc's, held by the parser and reused
 * for every message.
 */
#include <cstring>
#include <new>

#define SIMDJSON_DEVELOPMENT_CHECKS 0
#include "simdjson.h"

#include "json_walk.h"

using namespace simdjson;

/* Buffers above this are given back after the message that needed them. */
static constexpr size_t KEEP_CAPACITY = 1024 * 1024;
static constexpr size_t FIRST_CAPACITY = 16 * 1024;

struct JsonParser
{
	ondemand::parser parser;
	error_code	problem = SUCCESS;
};

namespace
{

/* What all levels of one walk share. */
struct Walk
{
	JsonToken  *tokens;
	JsonFields *unknown;
};

inline uint64_t
load_word(const char *bytes)
{
	uint64_t	word;

	memcpy(&word, bytes, sizeof(word));
	return word;
}

/* Length of a key that starts behind its quote; *escaped when a backslash is in it. */
size_t
key_length(const char *key, bool *escaped)
{
	const char *end = key;

	*escaped = false;
	while (*end != '"')
	{
		if (*end == '\\')
		{
			*escaped = true;
			end++;
		}
		end++;
	}
	return end - key;
}

/* Value of a hexadecimal digit, -1: none. */
int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends a code point as UTF-8; surrogates as if they were one (they equal no name). */
size_t
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

/* Four hexadecimal digits, -1: not. */
int
hex_quad(const char *text)
{
	int			code = 0;

	for (int i = 0; i < 4; i++)
	{
		int			digit = hex_digit(text[i]);

		if (digit < 0)
			return -1;
		code = code << 4 | digit;
	}
	return code;
}

/* Whether an escaped key means this name.  Rare, so compared while unescaping. */
bool
escaped_key_is(const char *key, size_t len, const char *name, size_t name_len)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *end = key + len;
	size_t		at = 0;

	while (key < end)
	{
		char		bytes[4];
		size_t		n = 1;

		bytes[0] = *key++;
		if (bytes[0] == '\\' && *key == 'u')
		{
			int			code = end - key > 4 ? hex_quad(key + 1) : -1;

			if (code < 0)
				return false;
			key += 5;
			if (code >= 0xD800 && code < 0xDC00 && end - key >= 6 && key[0] == '\\' && key[1] == 'u')
			{
				int			low = hex_quad(key + 2);

				if (low < 0xDC00 || low > 0xDFFF)
					return false;
				code = 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF));
				key += 6;
			}
			n = put_utf8(bytes, code);
		}
		else if (bytes[0] == '\\')
		{
			const char *found = strchr(from, *key++);

			if (found == nullptr || *found == '\0')
				return false;
			bytes[0] = to[found - from];
		}
		if (at + n > name_len || memcmp(name + at, bytes, n) != 0)
			return false;
		at += n;
	}
	return at == name_len;
}

/* Remembers which key stands at this place, when it is short enough. */
void
learn(JsonNode *node, size_t position, const char *key, size_t len, int child)
{
	JsonGuess  *guess = &node->guesses[position];
	char		bytes[16] = {0};
	char		mask[16] = {0};

	if (len + 1 > sizeof(bytes))
		return;
	memcpy(bytes, key, len + 1);
	memset(mask, 0xFF, len + 1);
	guess->word[0] = load_word(bytes);
	guess->word[1] = load_word(bytes + 8);
	guess->mask[0] = load_word(mask);
	guess->mask[1] = load_word(mask + 8);
	guess->child = child;
}

/* The child a key names, by comparing with all names. */
int
search_child(JsonNode *node, size_t position, const char *key)
{
	bool		escaped;
	size_t		len = key_length(key, &escaped);
	int			child = node->nchildren;

	while (--child >= 0)
	{
		JsonNode   *candidate = &node->children[child];

		if (escaped
			? escaped_key_is(key, len, candidate->name, candidate->name_len)
			: candidate->name_len == len && memcmp(candidate->name, key, len) == 0)
			break;
	}
	if (!escaped && position < JSON_GUESSES)
		learn(node, position, key, len, child);
	return child;
}

/* The child a key names, -1: nobody wants that field. */
inline int
find_child(JsonNode *node, size_t position, const char *key)
{
	if (position < JSON_GUESSES)
	{
		const JsonGuess *guess = &node->guesses[position];

		/* reading 16 bytes may pass the message's end: the padding allows it */
		if ((((load_word(key) & guess->mask[0]) ^ guess->word[0]) |
			 ((load_word(key + 8) & guess->mask[1]) ^ guess->word[1])) == 0)
			return guess->child;
	}
	return search_child(node, position, key);
}

/* Cuts the white space between a token and the next structural character. */
inline size_t
trimmed(std::string_view token)
{
	size_t		len = token.size();

	while (len > 0 && (token[len - 1] == ' ' || token[len - 1] == '\n' ||
					   token[len - 1] == '\r' || token[len - 1] == '\t'))
		len--;
	return len;
}

/* A scalar from its first character to the next structural one. */
inline void
set_scalar(JsonToken *token, std::string_view raw)
{
	size_t		len = trimmed(raw);

	token->escaped = false;
	token->text = raw.data();
	token->len = len;
	switch (raw.empty() ? '\0' : raw[0])
	{
		case '"':
			token->kind = JSON_STRING;
			token->text++;
			token->len = len >= 2 ? len - 2 : 0;
			token->escaped = memchr(token->text, '\\', token->len) != nullptr;
			break;
		case 't':
		case 'f':
			token->kind = JSON_BOOL;
			break;
		case 'n':
			token->kind = JSON_NULL;
			break;
		default:
			token->kind = JSON_NUMBER;	/* or garbage: who converts it looks */
	}
}

inline bool
is_container(char first)
{
	return first == '{' || first == '[';
}

/* An object or array as text; steps behind it. */
error_code
set_container(JsonToken *token, ondemand::value &value, char first)
{
	std::string_view raw;

	if (first == '{')
	{
		ondemand::object object;

		SIMDJSON_TRY(value.get_object().get(object));
		SIMDJSON_TRY(object.raw_json().get(raw));
	}
	else
	{
		ondemand::array array;

		SIMDJSON_TRY(value.get_array().get(array));
		SIMDJSON_TRY(array.raw_json().get(raw));
	}
	token->kind = first == '{' ? JSON_OBJECT : JSON_ARRAY;
	token->text = raw.data();
	token->len = trimmed(raw);
	token->escaped = false;
	return SUCCESS;
}

error_code	walk_object(ondemand::object &object, JsonNode *node, bool outermost, Walk &walk);

/* A value on the way to wanted ones: forget what an earlier one of that name held. */
error_code
take_inner(ondemand::value &value, std::string_view raw, JsonNode *node, Walk &walk)
{
	JsonToken  *token = &walk.tokens[node->token];
	ondemand::object object;

	for (int i = node->token; i <= node->last_token; i++)
		walk.tokens[i].kind = JSON_ABSENT;
	if (raw.empty() || !is_container(raw[0]))
	{
		set_scalar(token, raw);
		return SUCCESS;
	}
	if (raw[0] == '[')
		return set_container(token, value, '[');
	SIMDJSON_TRY(value.get_object().get(object));
	if (node->wanted)
	{
		std::string_view whole;
		bool		any;

		SIMDJSON_TRY(object.raw_json().get(whole));
		token->text = whole.data();
		token->len = trimmed(whole);
		SIMDJSON_TRY(object.reset().get(any));
	}
	token->kind = JSON_OBJECT;
	token->escaped = false;
	return walk_object(object, node, false, walk);
}

/* A value somebody wants. */
inline error_code
take(ondemand::value &value, JsonNode *node, Walk &walk)
{
	std::string_view raw;

	if (node->declared_only)
		return SUCCESS;
	raw = value.raw_json_token();
	if (node->nchildren > 0)
		return take_inner(value, raw, node, walk);
	if (!raw.empty() && is_container(raw[0]))
		return set_container(&walk.tokens[node->token], value, raw[0]);
	set_scalar(&walk.tokens[node->token], raw);
	return SUCCESS;
}

/* A field no node names. */
error_code
keep_unknown(ondemand::value &value, const char *key, JsonFields *unknown)
{
	std::string_view raw = value.raw_json_token();
	JsonField  *field;
	bool		escaped;

	if (unknown->nfields == unknown->capacity)
	{
		unknown->missing++;
		return SUCCESS;
	}
	field = &unknown->fields[unknown->nfields++];
	field->key = key;
	field->key_len = key_length(key, &escaped);
	if (!raw.empty() && is_container(raw[0]))
		return set_container(&field->value, value, raw[0]);
	set_scalar(&field->value, raw);
	return SUCCESS;
}

/* Visits every field of an object, in order. */
error_code
walk_object(ondemand::object &object, JsonNode *node, bool outermost, Walk &walk)
{
	size_t		position = 0;

	for (auto field : object)
	{
		ondemand::raw_json_string key;
		ondemand::value value;
		int			child;

		SIMDJSON_TRY(field.key().get(key));
		child = find_child(node, position++, key.raw());
		if (child >= 0)
		{
			SIMDJSON_TRY(field.value().get(value));
			SIMDJSON_TRY(take(value, &node->children[child], walk));
		}
		else if (outermost && walk.unknown != nullptr)
		{
			SIMDJSON_TRY(field.value().get(value));
			SIMDJSON_TRY(keep_unknown(value, key.raw(), walk.unknown));
		}
	}
	return SUCCESS;
}

/* Room for a message, grown in powers of two so that it is rarely done. */
error_code
reserve(ondemand::parser &parser, size_t len)
{
	size_t		capacity = FIRST_CAPACITY;

	if (len <= parser.capacity() && parser.capacity() > 0)
		return SUCCESS;
	while (capacity < len)
		capacity *= 2;
	return parser.allocate(capacity, DEFAULT_MAX_DEPTH);
}

/* The whole of a message. */
error_code
walk_document(ondemand::parser &parser, const char *data, size_t len, JsonNode *root, Walk &walk)
{
	ondemand::document document;
	ondemand::object object;

	SIMDJSON_TRY(reserve(parser, len));
	SIMDJSON_TRY(parser.iterate(padded_string_view(data, len, len + SIMDJSON_PADDING)).get(document));
	SIMDJSON_TRY(document.get_object().get(object));
	SIMDJSON_TRY(walk_object(object, root, true, walk));

	/* something behind the object? */
	return document.current_location().error() == OUT_OF_BOUNDS ? SUCCESS : TRAILING_CONTENT;
}

}								/* namespace */

static_assert(JSON_WALK_PADDING >= SIMDJSON_PADDING, "padding");

extern "C" JsonParser *
json_parser_create(void)
{
	return new (std::nothrow) JsonParser();
}

extern "C" void
json_parser_destroy(JsonParser *parser)
{
	delete parser;
}

extern "C" JsonWalkResult
json_walk(JsonParser *parser, const char *data, size_t len,
		  JsonNode *root, JsonToken *tokens, JsonFields *unknown)
{
	Walk		walk = {tokens, unknown};

	for (int i = 0; i <= root->last_token; i++)
		tokens[i].kind = JSON_ABSENT;
	if (unknown != nullptr)
		unknown->nfields = unknown->missing = 0;
	parser->problem = walk_document(parser->parser, data, len, root, walk);
	if (parser->parser.capacity() > KEEP_CAPACITY)
		parser->parser = ondemand::parser();
	switch (parser->problem)
	{
		case SUCCESS:
			return JSON_WALK_OK;
		case INCORRECT_TYPE:
			return JSON_WALK_NOT_OBJECT;
		case MEMALLOC:
			return JSON_WALK_NO_MEMORY;
		default:
			return JSON_WALK_INVALID;
	}
}

extern "C" const char *
json_walk_problem(const JsonParser *parser)
{
	return error_message(parser->problem);
}
