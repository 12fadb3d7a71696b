/*
 * json_walk.h
 *		The border to the one C++ file: one JSON object to the raw tokens of the
 *		wanted fields.
 *
 * Plain C types only, no palloc and no ereport on the other side.  Everything is
 * returned as pointers into the message; nothing is unescaped or converted.
 */
#ifndef DELTAFLOW_FORMAT_JSON_WALK_H
#define DELTAFLOW_FORMAT_JSON_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
{
#endif

/* Bytes behind a message that the walker may read. */
#define JSON_WALK_PADDING 64

typedef enum JsonKind
{
	JSON_ABSENT,				/* no such field */
	JSON_NULL,
	JSON_BOOL,
	JSON_NUMBER,
	JSON_STRING,
	JSON_OBJECT,
	JSON_ARRAY
} JsonKind;

/* A value as it stands in the message; of a string what is between the quotes. */
typedef struct JsonToken
{
	const char *text;
	size_t		len;
	JsonKind	kind;
	bool		escaped;		/* string with at least one backslash */
} JsonToken;

/*
 * What stood at some place of an object the last time: field order hardly ever
 * changes, so most keys cost two masked comparisons of eight bytes.
 */
typedef struct JsonGuess
{
	uint64_t	word[2];		/* key and closing quote, zero behind */
	uint64_t	mask[2];
	int			child;			/* index in children, -1: a field nobody wants */
} JsonGuess;

#define JSON_GUESSES 64

/* The wanted fields as a tree: 'a.b' is node a with child b. */
typedef struct JsonNode
{
	const char *name;
	size_t		name_len;
	bool		wanted;			/* the value itself is asked for */
	bool		declared_only;	/* nobody wants it, but it is not an unknown field */
	int			token;			/* its own; those of the nodes below follow */
	int			last_token;		/* the last one below, or its own */
	int			nchildren;
	struct JsonNode *children;
	JsonGuess  *guesses;		/* JSON_GUESSES of them when nchildren > 0 */
} JsonNode;

/* Fields of the outermost object that no node names, in order, duplicates kept. */
typedef struct JsonField
{
	const char *key;			/* between the quotes, still escaped */
	size_t		key_len;
	JsonToken	value;
} JsonField;

typedef struct JsonFields
{
	JsonField  *fields;
	int			nfields;
	int			capacity;
	int			missing;		/* did not fit: enlarge by so many and walk again */
} JsonFields;

typedef struct JsonParser JsonParser;

/* NULL when memory is short. */
extern JsonParser *json_parser_create(void);
extern void json_parser_destroy(JsonParser *parser);

typedef enum JsonWalkResult
{
	JSON_WALK_OK,
	JSON_WALK_NOT_OBJECT,		/* the message is some other JSON value, or none */
	JSON_WALK_INVALID,			/* json_walk_problem() says what */
	JSON_WALK_NO_MEMORY
} JsonWalkResult;

/*
 * data[len .. len + JSON_WALK_PADDING) must be readable; its content does not
 * matter.  Fills tokens[] for every node; of a key given twice the last counts.
 * unknown may be NULL.  The message's own brackets are depth 1.
 */
extern JsonWalkResult json_walk(JsonParser *parser, const char *data, size_t len, int max_depth,
								JsonNode *root, JsonToken *tokens, JsonFields *unknown);
extern const char *json_walk_problem(const JsonParser *parser);

#ifdef __cplusplus
}
#endif

#endif							/* DELTAFLOW_FORMAT_JSON_WALK_H */
