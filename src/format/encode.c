/*
 * encode.c
 *		One row of the foreign table to a record, for INSERT.
 *
 *		value columns	format's encode; all NULL: a tombstone
 *		partition		the record's partition, NULL: the partitioner's choice
 *		key				its bytes by key_format, NULL: no key
 *		headers			[[name, value], ...] or {{name,value},...}
 *
 * This is the mirror of decoding: what is written here reads back as the same row,
 * whatever the session's DateStyle, IntervalStyle and extra_float_digits are.
 * Offset, timestamp, topic and unknown fields are the broker's to say, and an
 * INSERT that gives them a value is refused.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "format/codec.h"
#include "format/json_encode.h"
#include "format/raw.h"

struct Encoder
{
	const Topic *topic;
	const Format *format;
	void	   *state;			/* the format's */
	bool		key_is_json;
	JsonWriter *key_json;
	RawWriter	key_raw;
};

/* Prepares writing of keys. */
static void
compile_key(Encoder *encoder)
{
	encoder->key_is_json = encoder->topic->key_format != NULL &&
		format_find(encoder->topic->key_format) == &json_format;
	for (int i = 0; i < encoder->topic->ncolumns; i++)
	{
		const TopicColumn *column = &encoder->topic->columns[i];

		if (column->kind != COLUMN_KEY)
			continue;
		if (encoder->key_is_json)
			encoder->key_json = json_writer_create(column);
		else
			raw_writer_init(&encoder->key_raw, column->type);
	}
}

/* Prepares writing rows of the topic. */
Encoder *
encoder_create(const Topic *topic)
{
	Encoder    *encoder = palloc0(sizeof(Encoder));

	encoder->topic = topic;
	encoder->format = format_find(topic->format);
	if (encoder->format == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("unrecognized format \"%s\"", topic->format),
				 errhint("Valid formats are: %s.", format_names())));
	encoder->state = encoder->format->encode_compile(topic);
	for (int i = 0; i < topic->ncolumns; i++)
		metadata_check(&topic->columns[i]);
	compile_key(encoder);
	return encoder;
}

/* The record's key. */
static void
encode_key(Encoder *encoder, Datum value, EncodedRecord *record)
{
	StringInfoData key;

	initStringInfo(&key);
	if (encoder->key_is_json)
	{
		json_write(encoder->key_json, value, &key);
		record->key = pg_server_to_any(key.data, key.len, PG_UTF8);
		record->key_len = record->key == key.data ? key.len : strlen(record->key);
		return;
	}
	raw_write(&encoder->key_raw, value, &key);
	record->key = key.data;
	record->key_len = key.len;
}

/* The record's partition. */
static int32
encode_partition(const TopicColumn *column, Datum value)
{
	Oid			output;
	bool		varlena;
	int64		partition;

	getTypeOutputInfo(column->type, &output, &varlena);
	partition = pg_strtoint64(OidOutputFunctionCall(output, value));
	if (partition < 0 || partition > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("partition " INT64_FORMAT " is out of range", partition)));
	return (int32) partition;
}

/* A server text as the bytes of a header. */
static void
set_header_value(KafkaHeader *header, char *text)
{
	header->value = text ? pg_server_to_any(text, strlen(text), PG_UTF8) : NULL;
	header->value_len = header->value ? strlen(header->value) : 0;
}

/* What a headers column must look like. */
static void
refuse_headers(const TopicColumn *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("value of column \"%s\" is not a list of headers", column->name),
			 errhint("Use jsonb '[[\"name\", \"value\"], ...]' or text[] '{{name,value},...}'.")));
}

/* {{name,value},...} */
static void
headers_from_array(const TopicColumn *column, Datum value, EncodedRecord *record)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (ARR_NDIM(array) == 0)
		return;
	if (ARR_NDIM(array) != 2 || ARR_DIMS(array)[1] != 2)
		refuse_headers(column);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	record->nheaders = n / 2;
	record->headers = palloc0(sizeof(KafkaHeader) * record->nheaders);
	for (int i = 0; i < record->nheaders; i++)
	{
		char	   *name;

		if (nulls[2 * i])
			refuse_headers(column);
		name = TextDatumGetCString(elements[2 * i]);
		record->headers[i].name = pg_server_to_any(name, strlen(name), PG_UTF8);
		set_header_value(&record->headers[i],
						 nulls[2 * i + 1] ? NULL : TextDatumGetCString(elements[2 * i + 1]));
	}
}

/* One [name, value] of the jsonb form. */
static void
header_from_pair(const TopicColumn *column, const JsonbValue *pair, KafkaHeader *header)
{
	JsonbValue *name;
	JsonbValue *value;
	char	   *text;

	if (pair->type != jbvBinary || !JsonContainerIsArray(pair->val.binary.data) ||
		JsonContainerSize(pair->val.binary.data) != 2)
		refuse_headers(column);
	name = getIthJsonbValueFromContainer(pair->val.binary.data, 0);
	value = getIthJsonbValueFromContainer(pair->val.binary.data, 1);
	if (name->type != jbvString || (value->type != jbvString && value->type != jbvNull))
		refuse_headers(column);
	text = pnstrdup(name->val.string.val, name->val.string.len);
	header->name = pg_server_to_any(text, strlen(text), PG_UTF8);
	set_header_value(header, value->type == jbvNull ? NULL
					 : pnstrdup(value->val.string.val, value->val.string.len));
}

/* [[name, value], ...] */
static void
headers_from_jsonb(const TopicColumn *column, Datum value, EncodedRecord *record)
{
	JsonbContainer *list = &DatumGetJsonbP(value)->root;

	if (!JsonContainerIsArray(list) || JsonContainerIsScalar(list))
		refuse_headers(column);
	record->nheaders = JsonContainerSize(list);
	record->headers = palloc0(sizeof(KafkaHeader) * (record->nheaders + 1));
	for (int i = 0; i < record->nheaders; i++)
		header_from_pair(column, getIthJsonbValueFromContainer(list, i), &record->headers[i]);
}

/* One column about the record that has a value. */
static void
encode_metadata(Encoder *encoder, const TopicColumn *column, Datum value, EncodedRecord *record)
{
	switch (column->kind)
	{
		case COLUMN_PARTITION:
			record->partition = encode_partition(column, value);
			break;
		case COLUMN_KEY:
			encode_key(encoder, value, record);
			break;
		case COLUMN_HEADERS:
			if (column->type == JSONBOID)
				headers_from_jsonb(column, value, record);
			else
				headers_from_array(column, value, record);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot insert into column \"%s\"", column->name),
					 errdetail("The broker decides this part of a record.")));
	}
}

/*
 * Sets what texts of values depend on so that every reader takes them for the same
 * values: 02/03/2026 is one day under MDY and another under DMY, and a float without
 * all its digits is another float.  Mostly nothing is to do.  0 or the level to close.
 */
static int
begin_plain_output(void)
{
	static const char *const settings[][2] = {
		{"datestyle", "ISO"}, {"intervalstyle", "postgres"}, {"extra_float_digits", "1"}
	};
	const bool	differs[] = {
		DateStyle != USE_ISO_DATES, IntervalStyle != INTSTYLE_POSTGRES, extra_float_digits < 1
	};
	int			level = 0;

	for (int i = 0; i < lengthof(settings); i++)
	{
		if (!differs[i])
			continue;
		if (level == 0)
			level = NewGUCNestLevel();
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}
	return level;
}

/* One row to a record. */
void
encoder_encode(Encoder *encoder, const Datum *values, const bool *isnull, EncodedRecord *record)
{
	bool		tombstone = true;
	int			level = begin_plain_output();
	StringInfoData value;

	memset(record, 0, sizeof(*record));
	record->partition = -1;
	for (int i = 0; i < encoder->topic->ncolumns; i++)
	{
		const TopicColumn *column = &encoder->topic->columns[i];

		if (isnull[column->attnum - 1])
			continue;
		if (column->kind == COLUMN_VALUE)
			tombstone = false;
		else
			encode_metadata(encoder, column, values[column->attnum - 1], record);
	}
	if (!tombstone)
	{
		initStringInfo(&value);
		encoder->format->encode(encoder->state, values, isnull, &value);
		record->value = value.data;
		record->value_len = value.len;
	}
	if (level != 0)
		AtEOXact_GUC(true, level);
}
