/*
 * raw.c
 *		Format raw: the record's value is the value of the one column that is not
 *		metadata, of type text, bytea, json or jsonb (or a domain over one).
 *
 * bytea takes the bytes as they are; the others are UTF-8 text in the record and
 * the server's encoding in the column.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "format/codec.h"
#include "format/raw.h"
#include "format/refusal.h"

/* The one value column; ERROR when there are none or more, or of another type. */
static const TopicColumn *
value_column(const Topic *topic)
{
	const TopicColumn *found = NULL;
	Oid			base;

	for (int i = 0; i < topic->ncolumns; i++)
	{
		if (topic->columns[i].kind != COLUMN_VALUE)
			continue;
		if (found != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_COLUMN_NUMBER),
					 errmsg("format \"raw\" has one column for the record's value"),
					 errdetail("Columns \"%s\" and \"%s\" have no option metadata.",
							   found->name, topic->columns[i].name)));
		found = &topic->columns[i];
	}
	if (found == NULL)
		return NULL;
	base = getBaseType(found->type);
	if (base != TEXTOID && base != BYTEAOID && base != JSONOID && base != JSONBOID && base != VARCHAROID)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
				 errmsg("column \"%s\" of format \"raw\" has type %s",
						found->name, format_type_be(found->type)),
				 errhint("Use text, bytea, json or jsonb.")));
	return found;
}

/* Checks the columns. */
static void
raw_compile(Decoder *decoder)
{
	value_column(decoder->topic);
}

/* Bytes of a record to a column of any type. */
bool
raw_value_decode(ValueReader *reader, const char *data, size_t len,
				 Datum *value, bool *isnull, Refusal *refusal)
{
	if (reader->base == BYTEAOID)
		return value_from_bytes(reader, data, len, value, isnull, refusal);
	if (!text_verify(data, len, reader->column, refusal) ||
		!text_to_server(&data, &len, reader->column, refusal))
		return false;
	return value_from_text(reader, data, len, value, isnull, refusal);
}

/* The record's value into its column. */
static bool
raw_decode(Decoder *decoder, const char *data, size_t len,
		   Datum *values, bool *isnull, Refusal *refusal)
{
	int			at;

	if (decoder->nvalues == 0)
		return true;
	at = decoder->values[0].at;
	return raw_value_decode(decoder->values[0].reader, data, len, &values[at], &isnull[at], refusal);
}

typedef struct RawEncoder
{
	RawWriter	writer;
	AttrNumber	attnum;			/* 0: no value column */
} RawEncoder;

/* Prepares writing of a type. */
void
raw_writer_init(RawWriter *writer, Oid type)
{
	Oid			output;
	bool		varlena;

	writer->is_bytes = getBaseType(type) == BYTEAOID;
	getTypeOutputInfo(type, &output, &varlena);
	fmgr_info(output, &writer->output);
}

/* Appends a value's bytes, or its text in UTF-8. */
void
raw_write(RawWriter *writer, Datum value, StringInfo out)
{
	char	   *text;

	if (writer->is_bytes)
	{
		bytea	   *bytes = DatumGetByteaPP(value);

		appendBinaryStringInfo(out, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
		return;
	}
	text = OutputFunctionCall(&writer->output, value);
	appendStringInfoString(out, pg_server_to_any(text, strlen(text), PG_UTF8));
}

/* Prepares writing rows. */
static void *
raw_encode_compile(const Topic *topic)
{
	RawEncoder *encoder = palloc0(sizeof(RawEncoder));
	const TopicColumn *column = value_column(topic);

	if (column != NULL)
	{
		encoder->attnum = column->attnum;
		raw_writer_init(&encoder->writer, column->type);
	}
	return encoder;
}

/* Writes the one value. */
static void
raw_encode(void *state, const Datum *values, const bool *isnull, StringInfo out)
{
	RawEncoder *encoder = state;

	if (encoder->attnum != 0 && !isnull[encoder->attnum - 1])
		raw_write(&encoder->writer, values[encoder->attnum - 1], out);
}

const Format raw_format = {
	.name = "raw",
	.options = NULL,
	.compile = raw_compile,
	.decode = raw_decode,
	.encode_compile = raw_encode_compile,
	.encode = raw_encode
};
