/*
 * json.c
 *		Format json: one JSON object per record, its fields into columns by path.
 *
 * The paths of all needed columns become one tree.  For each record simdjson.cpp
 * walks the message along that tree and leaves one raw token per node; then each
 * column converts its token (value.c).  Nothing is copied on the way but a message
 * whose end is too near to memory that may not be readable.
 *
 *		columns a, b.x, b.y:	root --+-- a (token 1)
 *									   '-- b (token 2) --+-- x (3)
 *														 '-- y (4)
 *
 * Missing fields are NULL, of a key given twice the last counts, null is NULL.  On
 * the way to a column 'b.x', b may be missing or null, but nothing else than an
 * object: that refuses the record, as it would for a composite column.
 *
 * Memory: the tree and tokens live with the decoder; simdjson's buffers are
 * malloc's and freed by a callback of the decoder's context.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "compat.h"
#include "format/codec.h"
#include "format/json_check.h"
#include "format/json_encode.h"
#include "format/refusal.h"

/* Reading behind a message is safe only where no tool watches memory. */
#if defined(USE_VALGRIND) || defined(__SANITIZE_ADDRESS__) || defined(DELTAFLOW_STRICT_MEMORY)
#define STRICT_MEMORY true
#else
#define STRICT_MEMORY false
#endif

#define SMALLEST_PAGE 4096

typedef struct JsonDecoder
{
	JsonParser *parser;
	MemoryContextCallback free_parser;
	JsonNode	root;
	JsonToken  *tokens;
	int			ninner;			/* tokens of nodes with children, but the root */
	int		   *inner;
	const char **inner_names;	/* for messages: in the server's encoding */
	JsonFields	unknown;
	char	   *padded;			/* copy of a message that ends near a page's end */
	size_t		padded_size;
} JsonDecoder;

/* Callback of the decoder's context */
static void
free_parser(void *arg)
{
	json_parser_destroy(arg);
}

/* The child of that name, added when there is none. */
static JsonNode *
add_child(JsonNode *node, const char *name)
{
	JsonNode   *child;

	for (int i = 0; i < node->nchildren; i++)
		if (strcmp(node->children[i].name, name) == 0)
			return &node->children[i];
	if (node->nchildren == 0)
	{
		node->children = palloc(sizeof(JsonNode));
		node->guesses = palloc0(sizeof(JsonGuess) * JSON_GUESSES);
		for (int i = 0; i < JSON_GUESSES; i++)
			node->guesses[i].word[0] = 1;	/* equals no key under an empty mask */
	}
	else
		node->children = repalloc(node->children, sizeof(JsonNode) * (node->nchildren + 1));
	child = &node->children[node->nchildren++];
	memset(child, 0, sizeof(JsonNode));
	child->name = name;
	child->name_len = strlen(name);
	child->declared_only = true;
	return child;
}

/* The path of a field name in UTF-8, as records spell it. */
static const char *
name_in_record(const char *name)
{
	return pg_server_to_any(name, strlen(name), PG_UTF8);
}

/* The node of a column's path, added when there is none. */
static JsonNode *
add_path(JsonNode *root, const TopicColumn *column, bool wanted)
{
	JsonNode   *node = root;

	for (int i = 0; i < column->path_len; i++)
	{
		node = add_child(node, name_in_record(column->path[i]));
		if (wanted)
			node->declared_only = false;
	}
	node->wanted |= wanted;
	return node;
}

/* Numbers the tokens, a node's before those below it; returns the next number. */
static int
number_tokens(JsonNode *node, int next)
{
	node->token = next++;
	for (int i = 0; i < node->nchildren; i++)
		next = number_tokens(&node->children[i], next);
	node->last_token = next - 1;
	return next;
}

/* Lists the nodes that must be objects. */
static void
list_inner(JsonDecoder *state, JsonNode *node)
{
	for (int i = 0; i < node->nchildren; i++)
	{
		JsonNode   *child = &node->children[i];

		if (child->nchildren == 0 || child->declared_only)
			continue;
		state->inner[state->ninner] = child->token;
		state->inner_names[state->ninner++] = pg_any_to_server(child->name, child->name_len, PG_UTF8);
		list_inner(state, child);
	}
}

/* Adds declared fields that nobody needs, so that they do not count as unknown. */
static void
add_declared(Decoder *decoder, JsonNode *root)
{
	for (int i = 0; i < decoder->topic->ncolumns; i++)
		if (decoder->topic->columns[i].kind == COLUMN_VALUE)
			add_path(root, &decoder->topic->columns[i], false);
}

/* Builds the tree of paths and gives each needed column its token. */
static void
json_compile(Decoder *decoder)
{
	JsonDecoder *state = palloc0(sizeof(JsonDecoder));
	int			ntokens;

	state->parser = json_parser_create();
	if (state->parser == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	state->free_parser.func = free_parser;
	state->free_parser.arg = state->parser;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &state->free_parser);

	for (int i = 0; i < decoder->nvalues; i++)
		add_path(&state->root, decoder->values[i].column, true);
	if (decoder->unknown_fields != NULL)
		add_declared(decoder, &state->root);
	if (state->root.nchildren == 0)
		add_child(&state->root, "");	/* an object must still be one */
	ntokens = number_tokens(&state->root, 0);
	for (int i = 0; i < decoder->nvalues; i++)
		decoder->values[i].source = add_path(&state->root, decoder->values[i].column, true)->token;
	state->tokens = palloc0(sizeof(JsonToken) * ntokens);
	state->inner = palloc0(sizeof(int) * ntokens);
	state->inner_names = palloc0(sizeof(char *) * ntokens);
	list_inner(state, &state->root);
	decoder->state = state;
}

/*
 * The message with readable bytes behind it.  A page that holds the last byte is
 * readable to its end, so most messages can stay where they are.
 */
static const char *
padded_message(Decoder *decoder, const char *data, size_t len)
{
	JsonDecoder *state = decoder->state;
	size_t		size = len + JSON_WALK_PADDING;

	size_t		in_page = (uintptr_t) (data + len) & (SMALLEST_PAGE - 1);

	if (!STRICT_MEMORY && in_page != 0 && in_page + JSON_WALK_PADDING <= SMALLEST_PAGE)
		return data;
	if (size > state->padded_size)
	{
		if (state->padded != NULL)
			pfree(state->padded);
		state->padded = NULL;
		state->padded_size = 0;
		state->padded = MemoryContextAllocHuge(decoder->context, size * 2);
		state->padded_size = size * 2;
	}
	memcpy(state->padded, data, len);
	memset(state->padded + len, 0, JSON_WALK_PADDING);
	return state->padded;
}

/* Room for more unknown fields than any record had so far. */
static void
enlarge_unknown(Decoder *decoder, JsonFields *unknown)
{
	MemoryContext caller = MemoryContextSwitchTo(decoder->context);

	if (unknown->fields != NULL)
		pfree(unknown->fields);
	unknown->capacity = (unknown->capacity + unknown->missing) * 2;
	unknown->fields = palloc(sizeof(JsonField) * unknown->capacity);
	MemoryContextSwitchTo(caller);
}

/*
 * Why simdjson refused, in core's words when core refuses too.  Slow, so only for
 * records that are refused.
 */
static bool
refuse_syntax(JsonDecoder *state, const char *data, size_t len, Refusal *refusal)
{
	const char *text = data;
	size_t		text_len = len;

	if (!text_verify(data, len, NULL, refusal) ||
		!text_to_server(&text, &text_len, NULL, refusal) ||
		!json_check(text, text_len, NULL, refusal))
		return false;
	return refuse_with_detail(refusal, ERRCODE_INVALID_TEXT_REPRESENTATION, NULL,
							  pstrdup("invalid input syntax for type json"),
							  pstrdup(json_walk_problem(state->parser)));
}

/* The refusal of a message that could not be walked. */
static bool
refuse_message(JsonDecoder *state, JsonWalkResult result,
			   const char *data, size_t len, Refusal *refusal)
{
	switch (result)
	{
		case JSON_WALK_NO_MEMORY:
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
			break;
		case JSON_WALK_NOT_OBJECT:
			if (!text_verify(data, len, NULL, refusal) ||
				!text_to_server(&data, &len, NULL, refusal) ||
				!json_check(data, len, NULL, refusal))
				return false;
			return refuse_record(refusal, ERRCODE_DATATYPE_MISMATCH, NULL,
								 "record is not a JSON object");
		default:
			break;
	}
	return refuse_syntax(state, data, len, refusal);
}

/* Nodes on the way to columns are objects, null or missing. */
static bool
check_inner(JsonDecoder *state, Refusal *refusal)
{
	for (int i = 0; i < state->ninner; i++)
	{
		JsonKind	kind = state->tokens[state->inner[i]].kind;

		if (kind != JSON_ABSENT && kind != JSON_NULL && kind != JSON_OBJECT)
			return refuse_record(refusal, ERRCODE_DATATYPE_MISMATCH, NULL,
								 "field \"%s\" is not a JSON object",
								 excerpt(state->inner_names[i], strlen(state->inner_names[i])));
	}
	return true;
}

/* The undeclared fields as one object, in their own text. */
static bool
decode_unknown(Decoder *decoder, Datum *values, bool *isnull, Refusal *refusal)
{
	JsonFields *unknown = &((JsonDecoder *) decoder->state)->unknown;
	int			at = decoder->unknown_fields->at;
	StringInfoData object;
	JsonToken	token = {NULL, 0, JSON_OBJECT, false};

	if (unknown->nfields == 0)
		return value_from_null(decoder->unknown_fields->reader, &values[at], &isnull[at], refusal);
	initStringInfo(&object);
	for (int i = 0; i < unknown->nfields; i++)
	{
		const JsonField *field = &unknown->fields[i];
		int			quote = field->value.kind == JSON_STRING;

		appendStringInfoString(&object, i > 0 ? ", \"" : "{\"");
		appendBinaryStringInfo(&object, field->key, field->key_len);
		appendStringInfoString(&object, "\": ");
		appendBinaryStringInfo(&object, field->value.text - quote, field->value.len + 2 * quote);
	}
	appendStringInfoChar(&object, '}');
	token.text = object.data;
	token.len = object.len;
	return value_from_json(decoder->unknown_fields->reader, &token, &values[at], &isnull[at], refusal);
}

/* Walks the message, again with more room when it has many unknown fields. */
static JsonWalkResult
walk_message(Decoder *decoder, const char *data, size_t len)
{
	JsonDecoder *state = decoder->state;
	JsonFields *unknown = decoder->unknown_fields ? &state->unknown : NULL;
	int			max_depth = value_limits().depth;
	JsonWalkResult result = json_walk(state->parser, data, len, max_depth,
									  &state->root, state->tokens, unknown);

	if (result == JSON_WALK_OK && unknown != NULL && unknown->missing > 0)
	{
		enlarge_unknown(decoder, unknown);
		result = json_walk(state->parser, data, len, max_depth,
						   &state->root, state->tokens, unknown);
	}
	return result;
}

/* One JSON object into the columns. */
static bool
json_decode(Decoder *decoder, const char *data, size_t len,
			Datum *values, bool *isnull, Refusal *refusal)
{
	JsonDecoder *state = decoder->state;
	const char *message = padded_message(decoder, data, len);
	JsonWalkResult result = walk_message(decoder, message, len);

	if (unlikely(result != JSON_WALK_OK))
		return refuse_message(state, result, message, len, refusal);
	if (state->ninner > 0 && unlikely(!check_inner(state, refusal)))
		return false;
	for (int i = 0; i < decoder->nvalues; i++)
	{
		const DecodeColumn *column = &decoder->values[i];
		const JsonToken *token = &state->tokens[column->source];

		if (value_plain_integer(column->reader, token, &values[column->at]))
			isnull[column->at] = false;
		else if (!value_from_json(column->reader, token,
								  &values[column->at], &isnull[column->at], refusal))
			return false;
	}
	return decoder->unknown_fields == NULL || decode_unknown(decoder, values, isnull, refusal);
}

/* Kind of a JSON value by its first character. */
static JsonKind
kind_of(char first)
{
	switch (first)
	{
		case '"':
			return JSON_STRING;
		case '{':
			return JSON_OBJECT;
		case '[':
			return JSON_ARRAY;
		case 't':
		case 'f':
			return JSON_BOOL;
		case 'n':
			return JSON_NULL;
		default:
			return JSON_NUMBER;
	}
}

static inline bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A JSON value that is a whole message: a key.  Not hot, so checked by core first. */
bool
json_value_decode(ValueReader *reader, const char *data, size_t len,
				  Datum *value, bool *isnull, Refusal *refusal)
{
	JsonToken	token;
	const char *text = data;
	size_t		text_len = len;

	if (!text_verify(data, len, reader->column, refusal) ||
		!text_to_server(&text, &text_len, reader->column, refusal) ||
		!json_check(text, text_len, reader->column, refusal))
		return false;
	while (len > 0 && is_space(*data))
	{
		data++;
		len--;
	}
	while (len > 0 && is_space(data[len - 1]))
		len--;
	token.kind = kind_of(*data);
	token.text = data + (token.kind == JSON_STRING);
	token.len = len - 2 * (token.kind == JSON_STRING);
	token.escaped = token.kind == JSON_STRING && memchr(token.text, '\\', token.len) != NULL;
	return value_from_json(reader, &token, value, isnull, refusal);
}

const Format json_format = {
	.name = "json",
	.options = NULL,
	.compile = json_compile,
	.decode = json_decode,
	.encode_compile = json_encode_compile,
	.encode = json_encode
};
