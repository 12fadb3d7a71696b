/*
 * value.h
 *		Texts and JSON values of one column to Datums.
 */
#ifndef DELTAFLOW_FORMAT_VALUE_H
#define DELTAFLOW_FORMAT_VALUE_H

#include "fmgr.h"
#include "nodes/execnodes.h"
#include "utils/typcache.h"

#include "format/format.h"
#include "format/json_text.h"
#include "format/json_walk.h"
#include "format/number.h"

typedef struct ValueReader ValueReader;

/* Text in the server's encoding, not terminated, to a Datum of the base type. */
typedef bool (*ValueFromText) (ValueReader *reader, const char *text, size_t len,
							   Datum *value, Refusal *refusal);

/* How values of one column are read.  Compiled once; lives as long as its decoder. */
struct ValueReader
{
	/* identity */
	const char *column;
	Oid			type;			/* as declared */
	Oid			base;			/* below domains; the typmod is the base type's */
	int32		typmod;
	TimeUnit	unit;

	/* steps */
	ValueFromText from_text;
	ValueFromText from_number;	/* a JSON number, checked */
	int			integer_size;	/* of int2, int4, int8 without domain; 0: other types */
	bool		takes_json;		/* json or jsonb: any value, as it stands */
	bool		datetime;		/* an array or composite that holds dates or times: words of the clock are refused */

	/* the type's input function */
	FmgrInfo	input;
	Oid			ioparam;
	bool		pure;

	/* for functions that leave much behind; made at the first use of one */
	MemoryContext context;		/* the reader's own */
	MemoryContext scratch;

	/* constraints of domains; NULL: none */
	DomainConstraintRef *domain;
	ExprContext *econtext;

	/* arrays and composites: json[b]_to_record over one column */
	JsonKind	container;		/* JSON_ARRAY, JSON_OBJECT, or JSON_ABSENT: a scalar type */
	bool		container_exact;	/* numbers' texts are kept where possible */
	FmgrInfo	populate_json;
	FmgrInfo	populate_jsonb;
	TupleDesc	populate_desc;
};

/* In CurrentMemoryContext. */
extern ValueReader *value_reader_create(const TopicColumn *column);

/* A text as the type's input function reads it, then the domain's constraints. */
extern bool value_from_text(ValueReader *reader, const char *text, size_t len,
							Datum *value, bool *isnull, Refusal *refusal);

/* A JSON value as jsonb_populate_record reads it, then the domain's constraints. */
extern bool value_from_json(ValueReader *reader, const JsonToken *token,
							Datum *value, bool *isnull, Refusal *refusal);

/*
 * The hot case, short of value_from_json(): a JSON number that is a plain integer
 * and fits the integer column.  False: anything else.
 */
static inline bool
value_plain_integer(const ValueReader *reader, const JsonToken *token, Datum *value)
{
	const char *first;
	int64_t		number;

	if (token->kind != JSON_NUMBER || reader->integer_size == 0)
		return false;
	first = token->text + (token->text[0] == '-');
	if (*first == '0' && token->text + token->len > first + 1)
		return false;			/* not JSON */
	if (!int64_parse(token->text, token->len, &number))
		return false;
	switch (reader->integer_size)
	{
		case 2:
			*value = Int16GetDatum((int16) number);
			return number >= PG_INT16_MIN && number <= PG_INT16_MAX;
		case 4:
			*value = Int32GetDatum((int32) number);
			return number >= PG_INT32_MIN && number <= PG_INT32_MAX;
		default:
			*value = Int64GetDatum(number);
			return true;
	}
}

/* NULL, if the domain allows. */
extern bool value_from_null(ValueReader *reader, Datum *value, bool *isnull, Refusal *refusal);

/* Bytes as they are, of a bytea or a domain over it. */
extern bool value_from_bytes(ValueReader *reader, const char *data, size_t len,
							 Datum *value, bool *isnull, Refusal *refusal);

/* An integer known to the server (partition, offset, timestamp) as the column's type. */
extern bool value_from_int64(ValueReader *reader, int64 number,
							 Datum *value, bool *isnull, Refusal *refusal);

/* Parts of the above, by file. */

/* value.c: the slow way, right for every type */
extern bool text_by_input(ValueReader *reader, const char *text, size_t len,
						  Datum *value, Refusal *refusal);
extern bool text_in_scratch(ValueReader *reader, ValueFromText function,
							const char *text, size_t len, Datum *value, Refusal *refusal);
extern bool refuse_fault(Refusal *refusal, const char *column, JsonFault fault);

/* value_text.c: which functions a type has; NULL: none of its own */
extern ValueFromText text_function(Oid type);
extern ValueFromText number_function(Oid type);
extern bool type_is_datetime(Oid type);

/* value_container.c: arrays and composites */
extern void container_compile(ValueReader *reader);
extern bool container_from_json(ValueReader *reader, const char *text, size_t len,
								Datum *value, Refusal *refusal);

/* value_json.c: json and jsonb */
extern bool json_from_text(ValueReader *reader, const char *text, size_t len,
						   Datum *value, Refusal *refusal);

/* encoding.c: UTF-8 from a record to the server's encoding; copies only if needed */
extern bool text_to_server(const char **text, size_t *len, const char *column, Refusal *refusal);
extern bool text_verify(const char *text, size_t len, const char *column, Refusal *refusal);

/* limits.c: caps, from settings */
extern JsonLimits value_limits(void);
extern size_t record_limit(void);

#endif							/* DELTAFLOW_FORMAT_VALUE_H */
