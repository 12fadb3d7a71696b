/*
 * metadata.c
 *		Columns that are about the record: partition, offset, timestamp, key,
 *		headers, topic.
 *
 * Keys and headers are as hostile as values: a key is read by key_format (json, or
 * raw), a header's value must be UTF-8 to stand in jsonb or text[], else it is
 * written in bytea's hex form (\x...), so that no record is lost for a binary
 * header.  Duplicate headers are kept, in order.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "format/codec.h"
#include "format/raw.h"
#include "format/refusal.h"

#define SOME_HEADERS 16
#define UNIX_EPOCH_MS ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)

/* The record's time as timestamptz, as timestamp in UTC, or as milliseconds for other types. */
static bool
decode_timestamp(ValueReader *reader, const KafkaRecord *record,
				 Datum *value, bool *isnull, Refusal *refusal)
{
	int64		instant;

	if (record->timestamp_ms < 0)
		return value_from_null(reader, value, isnull, refusal);
	if (reader->base != TIMESTAMPTZOID && reader->base != TIMESTAMPOID)
		return value_from_int64(reader, record->timestamp_ms, value, isnull, refusal);
	if (pg_mul_s64_overflow(record->timestamp_ms - UNIX_EPOCH_MS, 1000, &instant) ||
		!IS_VALID_TIMESTAMP(instant))
		return refuse_record(refusal, ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, reader->column,
							 "timestamp of record is out of range: " INT64_FORMAT, record->timestamp_ms);
	*isnull = false;
	*value = TimestampTzGetDatum(instant);
	return true;
}

/* The record's key by key_format. */
static bool
decode_key(Decoder *decoder, ValueReader *reader, const KafkaRecord *record,
		   Datum *value, bool *isnull, Refusal *refusal)
{
	if (record->key == NULL)
		return value_from_null(reader, value, isnull, refusal);
	if (record->key_len > record_limit())
		return refuse_record(refusal, ERRCODE_PROGRAM_LIMIT_EXCEEDED, reader->column,
							 "key of %zu bytes is too large", record->key_len);
	if (decoder->key_format == &json_format)
		return json_value_decode(reader, record->key, record->key_len, value, isnull, refusal);
	return raw_value_decode(reader, record->key, record->key_len, value, isnull, refusal);
}

/* A header's name or value as text of the server: its own, or \x and digits. */
static char *
header_text(const char *bytes, size_t len)
{
	Refusal		ignored;
	const char *text = bytes;
	char	   *hex;

	if (text_verify(bytes, len, NULL, &ignored) && text_to_server(&text, &len, NULL, &ignored))
		return pnstrdup(text, len);
	hex = palloc(len * 2 + 3);
	strcpy(hex, "\\x");
	hex[2 + hex_encode(bytes, len, hex + 2)] = '\0';
	return hex;
}

/* [["name", "value"], ["name", null], ...] */
static Datum
headers_to_jsonb(const KafkaHeader *headers, int n)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(&json, i > 0 ? ", [" : "[");
		escape_json(&json, header_text(headers[i].name, strlen(headers[i].name)));
		appendStringInfoString(&json, ", ");
		if (headers[i].value == NULL)
			appendStringInfoString(&json, "null");
		else
			escape_json(&json, header_text(headers[i].value, headers[i].value_len));
		appendStringInfoChar(&json, ']');
	}
	appendStringInfoChar(&json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

/* {{name,value},{name,NULL},...} */
static Datum
headers_to_array(const KafkaHeader *headers, int n)
{
	Datum	   *elements = palloc0(sizeof(Datum) * 2 * n + 1);
	bool	   *nulls = palloc0(sizeof(bool) * 2 * n + 1);
	int			dims[2] = {n, 2};
	int			bounds[2] = {1, 1};

	if (n == 0)
		return PointerGetDatum(construct_empty_array(TEXTOID));
	for (int i = 0; i < n; i++)
	{
		elements[2 * i] = CStringGetTextDatum(header_text(headers[i].name, strlen(headers[i].name)));
		nulls[2 * i + 1] = headers[i].value == NULL;
		if (headers[i].value != NULL)
			elements[2 * i + 1] = CStringGetTextDatum(header_text(headers[i].value, headers[i].value_len));
	}
	return PointerGetDatum(construct_md_array(elements, nulls, 2, dims, bounds,
											  TEXTOID, -1, false, TYPALIGN_INT));
}

/* The record's headers as jsonb or text[]. */
static bool
decode_headers(ValueReader *reader, const KafkaRecord *record,
			   Datum *value, bool *isnull, Refusal *refusal)
{
	KafkaHeader some[SOME_HEADERS];
	KafkaHeader *headers = some;
	int			n = record_headers(record, headers, SOME_HEADERS);

	if (n > SOME_HEADERS)
	{
		headers = palloc(sizeof(KafkaHeader) * n);
		n = record_headers(record, headers, n);
	}
	*isnull = false;
	*value = reader->type == JSONBOID ? headers_to_jsonb(headers, n) : headers_to_array(headers, n);
	return true;
}

/* One column about the record. */
static bool
decode_column(Decoder *decoder, const DecodeColumn *column, const KafkaRecord *record,
			  Datum *value, bool *isnull, Refusal *refusal)
{
	ValueReader *reader = column->reader;

	switch (column->column->kind)
	{
		case COLUMN_PARTITION:
			return value_from_int64(reader, record->partition, value, isnull, refusal);
		case COLUMN_OFFSET:
			return value_from_int64(reader, record->offset, value, isnull, refusal);
		case COLUMN_TIMESTAMP:
			return decode_timestamp(reader, record, value, isnull, refusal);
		case COLUMN_KEY:
			return decode_key(decoder, reader, record, value, isnull, refusal);
		case COLUMN_HEADERS:
			return decode_headers(reader, record, value, isnull, refusal);
		case COLUMN_TOPIC:
			return value_from_text(reader, decoder->topic->name, strlen(decoder->topic->name),
								   value, isnull, refusal);
		case COLUMN_VALUE:
		case COLUMN_UNKNOWN_FIELDS:
			break;				/* the format's */
	}
	return true;
}

/* Headers have two column types; all others are read from text, by any type. */
void
metadata_check(const TopicColumn *column)
{
	if (column->kind == COLUMN_HEADERS && column->type != JSONBOID && column->type != TEXTARRAYOID)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("column \"%s\" for headers has type %s",
						column->name, format_type_be(column->type)),
				 errhint("Use jsonb or text[].")));
}

/* All columns about the record that are needed. */
bool
metadata_decode(Decoder *decoder, const KafkaRecord *record,
				Datum *values, bool *isnull, Refusal *refusal)
{
	for (int i = 0; i < decoder->nmetadata; i++)
	{
		int			at = decoder->metadata[i].at;

		if (!decode_column(decoder, &decoder->metadata[i], record, &values[at], &isnull[at], refusal))
			return false;
	}
	return true;
}
