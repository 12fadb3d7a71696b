/*
 * dead_letter.c
 *		Table deltaflow.dead_letter: records set aside, whole, with the reason.
 *
 * What a producer or a user's function wrote is hostile: text is made valid in
 * the server's encoding and cut before it is stored; key and value stay bytes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "catalog/statement.h"
#include "compat.h"
#include "format/refusal.h"
#include "format/value.h"

#define MAX_HEADERS		256
#define MAX_TEXT		4000	/* bytes of a message or detail */

/* Bytes as a bytea argument. */
static Datum
bytes_argument(const char *bytes, size_t length, bool *isnull)
{
	bytea	   *result;

	*isnull = (bytes == NULL);
	if (bytes == NULL)
		return (Datum) 0;
	result = palloc(VARHDRSZ + length);
	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), bytes, length);
	return PointerGetDatum(result);
}

/*
 * Text that any client can read: valid in the server's encoding, at most MAX_TEXT
 * bytes.  What SQL_ASCII lets through ends the SELECT of a client of another encoding.
 */
static char *
readable(const char *text, size_t length)
{
	int			encoding = GetDatabaseEncoding() == PG_SQL_ASCII ? PG_UTF8 : GetDatabaseEncoding();
	StringInfoData clean;
	const char *end = text + Min(length, MAX_TEXT);

	initStringInfo(&clean);
	while (text < end)
	{
		int			width = pg_encoding_mblen(encoding, text);

		if (*text != '\0' && width <= end - text &&
			pg_encoding_verifymbchar(encoding, text, width) == width)
		{
			appendBinaryStringInfo(&clean, text, width);
			text += width;
		}
		else
		{
			appendStringInfo(&clean, "\\x%02x", (unsigned char) *text);
			text++;
		}
	}
	return clean.data;
}

static Datum
readable_argument(const char *text, bool *isnull)
{
	*isnull = (text == NULL);
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(readable(text, strlen(text)));
}

/* A header's name or value: UTF-8 becomes the server's encoding, where it can. */
static char *
readable_header(const char *bytes, size_t length)
{
	Refusal		ignored;
	const char *text = bytes;
	size_t		text_length = length;

	if (text_verify(bytes, length, NULL, &ignored) && text_to_server(&text, &text_length, NULL, &ignored))
		return readable(text, text_length);
	return readable(bytes, length);
}

/* Headers as JSON text [[name, value], ...]: an object would lose duplicates. */
static char *
headers_json(const KafkaRecord *record)
{
	KafkaHeader *headers = palloc(sizeof(KafkaHeader) * MAX_HEADERS);
	int			n = Min(record_headers(record, headers, MAX_HEADERS), MAX_HEADERS);
	StringInfoData json;

	if (n <= 0)
		return NULL;
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(&json, i > 0 ? ", [" : "[");
		escape_json(&json, readable_header(headers[i].name, strlen(headers[i].name)));
		appendStringInfoString(&json, ", ");
		if (headers[i].value == NULL)
			appendStringInfoString(&json, "null");
		else
			escape_json(&json, readable_header(headers[i].value, headers[i].value_len));
		appendStringInfoChar(&json, ']');
	}
	appendStringInfoChar(&json, ']');
	return json.data;
}

bool
dead_letter_exists(const DeadLetterOf *of, const KafkaRecord *record)
{
	static Statement find = {
		"SELECT 1 FROM deltaflow.dead_letter WHERE pipeline_id = $1 AND topic = $2 AND partition = $3 "
		"AND record_offset = $4 AND (view_id IS NULL OR view_id = $5) AND replayed_at IS NULL LIMIT 1",
		5, {INT8OID, TEXTOID, INT4OID, INT8OID, INT8OID}
	};
	Datum		values[] = {
		Int64GetDatum(of->pipeline_id), CStringGetTextDatum(of->topic), Int32GetDatum(record->partition),
		Int64GetDatum(record->offset), Int64GetDatum(of->view_id)
	};

	return statement_execute(&find, lengthof(values), values, NULL) > 0;
}

PositionSet
dead_letters_of_future(int64 pipeline_id, int64 view_id)
{
	static Statement list = {
		"SELECT partition, record_offset FROM deltaflow.dead_letter WHERE pipeline_id = $1 "
		"AND (view_id IS NULL OR view_id = $2) AND stage = 'check' AND sqlstate = '22008' AND replayed_at IS NULL ORDER BY 1, 2",
		2, {INT8OID, INT8OID},.as_seen = true
	};
	Datum		values[] = {Int64GetDatum(pipeline_id), Int64GetDatum(view_id)};
	PositionSet set;
	CatalogCall call;

	catalog_begin(&call);
	set.n = statement_run(&list, lengthof(values), values, NULL);
	set.positions = MemoryContextAllocHuge(call.caller, Max(set.n, 1) * sizeof(KafkaPosition));
	for (int64 i = 0; i < set.n; i++)
		set.positions[i] = (KafkaPosition) {result_int32(i, 1), result_int64(i, 2, 0)};
	catalog_end(&call);
	return set;
}

void
dead_letters_read_again(int64 pipeline_id, int32 partition, int64 from, int64 upto)
{
	static Statement note = {
		"UPDATE deltaflow.dead_letter SET replayed_at = pg_catalog.now() WHERE pipeline_id = $1 AND partition = $2 "
		"AND record_offset >= $3 AND record_offset < $4 AND replayed_at IS NULL",
		4, {INT8OID, INT4OID, INT8OID, INT8OID}
	};
	Datum		values[] = {Int64GetDatum(pipeline_id), Int32GetDatum(partition), Int64GetDatum(from), Int64GetDatum(upto)};

	statement_execute(&note, lengthof(values), values, NULL);
}

void
dead_letter_insert(const DeadLetterOf *of, const KafkaRecord *record, const Refusal *why, int attempts)
{
	static Statement insert = {
		"INSERT INTO deltaflow.dead_letter (pipeline_id, name, topic, partition, record_offset, record_time, "
		"key, value, headers, stage, sqlstate, message, detail, column_name, attempts, view_id) "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, $15, $16)",
		16, {INT8OID, TEXTOID, TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID, BYTEAOID, BYTEAOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT8OID}
	};
	bool		isnull[16] = {false};
	Datum		values[16];
	TimestampTz time = 0;

	values[0] = Int64GetDatum(of->pipeline_id);
	values[1] = CStringGetTextDatum(of->name);
	values[2] = CStringGetTextDatum(of->topic);
	values[3] = Int32GetDatum(record->partition);
	values[4] = Int64GetDatum(record->offset);
	isnull[5] = !record_time(record, &time);
	values[5] = TimestampTzGetDatum(time);
	values[6] = bytes_argument(record->key, record->key_len, &isnull[6]);
	values[7] = bytes_argument(record->value, record->value_len, &isnull[7]);
	values[8] = text_argument(headers_json(record), &isnull[8]);
	values[9] = CStringGetTextDatum(why->stage);
	values[10] = CStringGetTextDatum(unpack_sql_state(why->sqlstate));
	values[11] = readable_argument(why->message != NULL ? why->message : "", &isnull[11]);
	values[12] = readable_argument(why->detail, &isnull[12]);
	values[13] = text_argument(why->column, &isnull[13]);
	values[14] = Int32GetDatum(attempts);
	values[15] = Int64GetDatum(of->view_id);
	isnull[15] = of->view_id == 0;
	statement_execute(&insert, lengthof(values), values, isnull);
}
