/*
 * csv.c
 *		Format csv: one line of CSV per record, as COPY reads and writes it.
 *
 * The columns that are not metadata stand in their order in the table.  A field
 * may be quoted; inside quotes the delimiter and line ends are plain characters,
 * and the quote is written behind the escape character.  An unquoted field that
 * equals the null string is NULL.  One line end at the end of the record is
 * ignored.  More or fewer fields than columns refuse the record.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "format/codec.h"
#include "format/refusal.h"

/* How the lines are written. */
typedef struct CsvDialect
{
	char		delimiter;
	char		quote;
	char		escape;
	char	   *null;
	size_t		null_len;
} CsvDialect;

/* One field of a line. */
typedef struct CsvField
{
	const char *text;
	size_t		len;
	bool		quoted;
} CsvField;

typedef struct CsvDecoder
{
	CsvDialect	dialect;
	int			nfields;		/* value columns of the table, needed or not */
	char	  **names;
	CsvField   *fields;
} CsvDecoder;

/* An option of one character. */
static char
character_option(const Topic *topic, const char *name, char otherwise)
{
	const char *value = format_option(topic, name);

	if (value == NULL)
		return otherwise;
	if (strlen(value) != 1 || value[0] == '\n' || value[0] == '\r' || (value[0] & 0x80))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"%s\" must be a single one-byte character", name)));
	return value[0];
}

/* What COPY refuses in the text that stands for NULL: it would not be read as one field. */
static void
check_null_text(const CsvDialect *dialect)
{
	if (strpbrk(dialect->null, "\r\n") != NULL || strchr(dialect->null, dialect->delimiter) != NULL ||
		strchr(dialect->null, dialect->quote) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"null\" cannot contain the delimiter, the quote or a line end"),
				 errhint("Set option null of the foreign table to another text.")));
}

/* The options of the topic. */
static CsvDialect
read_dialect(const Topic *topic)
{
	CsvDialect	dialect;
	const char *null = format_option(topic, "null");
	const char *header = format_option(topic, "header");
	bool		has_header = false;

	dialect.delimiter = character_option(topic, "delimiter", ',');
	dialect.quote = character_option(topic, "quote", '"');
	dialect.escape = character_option(topic, "escape", dialect.quote);
	dialect.null = pstrdup(null ? null : "");
	dialect.null_len = strlen(dialect.null);
	if (dialect.delimiter == dialect.quote)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("delimiter and quote must be different characters")));
	check_null_text(&dialect);
	if (header != NULL && (!parse_bool(header, &has_header) || has_header))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"header\" must be false"),
				 errdetail("Every record is one line of values.")));
	return dialect;
}

/* Gives each needed column the number of its field. */
static void
csv_compile(Decoder *decoder)
{
	const Topic *topic = decoder->topic;
	CsvDecoder *state = palloc0(sizeof(CsvDecoder));
	int			next = 0;

	state->dialect = read_dialect(topic);
	state->names = palloc0(sizeof(char *) * (topic->ncolumns + 1));
	state->fields = palloc0(sizeof(CsvField) * (topic->ncolumns + 1));
	for (int i = 0; i < topic->ncolumns; i++)
	{
		if (topic->columns[i].kind != COLUMN_VALUE)
			continue;
		if (next < decoder->nvalues && decoder->values[next].column == &topic->columns[i])
			decoder->values[next++].source = state->nfields;
		state->names[state->nfields++] = topic->columns[i].name;
	}
	decoder->state = state;
}

/* Where one line is being read. */
typedef struct CsvCursor
{
	const CsvDialect *dialect;
	const char *text;
	const char *end;
	char	   *out;			/* room for unquoted text: never more than the line */
	bool		open;			/* the line ended inside quotes */
	bool		line_end;		/* a line end stood outside quotes */
} CsvCursor;

/* The part of a field inside quotes, from behind the opening one. */
static void
take_quoted(CsvCursor *cursor)
{
	const CsvDialect *dialect = cursor->dialect;

	while (cursor->text < cursor->end)
	{
		char		c = *cursor->text++;

		if (c == dialect->escape && cursor->text < cursor->end &&
			(*cursor->text == dialect->escape || *cursor->text == dialect->quote))
			*cursor->out++ = *cursor->text++;
		else if (c == dialect->quote)
			return;
		else
			*cursor->out++ = c;
	}
	cursor->open = true;
}

/* One field up to its delimiter or the end of the line; false at the latter. */
static bool
take_field(CsvCursor *cursor, CsvField *field)
{
	field->text = cursor->out;
	field->quoted = false;
	while (cursor->text < cursor->end)
	{
		char		c = *cursor->text++;

		if (c == cursor->dialect->delimiter)
		{
			field->len = cursor->out - field->text;
			return true;
		}
		if (c == cursor->dialect->quote)
		{
			field->quoted = true;
			take_quoted(cursor);
		}
		else
		{
			cursor->line_end |= c == '\n' || c == '\r';
			*cursor->out++ = c;
		}
	}
	field->len = cursor->out - field->text;
	return false;
}

/* Cuts one line end. */
static size_t
without_line_end(const char *data, size_t len)
{
	if (len > 0 && data[len - 1] == '\n')
		len--;
	if (len > 0 && data[len - 1] == '\r')
		len--;
	return len;
}

/* Splits a line into exactly the table's fields. */
static bool
split_line(CsvDecoder *state, const char *data, size_t len, Refusal *refusal)
{
	CsvCursor	cursor = {&state->dialect, data, data + len, palloc(len + 1)};
	int			n = 0;
	bool		more = true;

	while (more)
	{
		CsvField	extra;

		more = take_field(&cursor, n < state->nfields ? &state->fields[n] : &extra);
		n++;
	}
	if (cursor.open)
		return refuse_record(refusal, ERRCODE_BAD_COPY_FILE_FORMAT, NULL, "unterminated CSV quoted field");
	if (cursor.line_end)
		return refuse_record(refusal, ERRCODE_BAD_COPY_FILE_FORMAT, NULL, "record has more than one line");
	if (n > state->nfields)
		return refuse_record(refusal, ERRCODE_BAD_COPY_FILE_FORMAT, NULL,
							 "extra data after last expected column");
	if (n < state->nfields)
		return refuse_record(refusal, ERRCODE_BAD_COPY_FILE_FORMAT, state->names[n],
							 "missing data for column \"%s\"", state->names[n]);
	return true;
}

/* One field into its column. */
static bool
decode_field(const CsvDecoder *state, const DecodeColumn *column,
			 Datum *value, bool *isnull, Refusal *refusal)
{
	const CsvField *field = &state->fields[column->source];

	if (!field->quoted && field->len == state->dialect.null_len &&
		memcmp(field->text, state->dialect.null, field->len) == 0)
		return value_from_null(column->reader, value, isnull, refusal);
	return value_from_text(column->reader, field->text, field->len, value, isnull, refusal);
}

/* One line into the columns. */
static bool
csv_decode(Decoder *decoder, const char *data, size_t len,
		   Datum *values, bool *isnull, Refusal *refusal)
{
	CsvDecoder *state = decoder->state;

	if (!text_verify(data, len, NULL, refusal) || !text_to_server(&data, &len, NULL, refusal) ||
		!split_line(state, data, without_line_end(data, len), refusal))
		return false;
	for (int i = 0; i < decoder->nvalues; i++)
	{
		int			at = decoder->values[i].at;

		if (!decode_field(state, &decoder->values[i], &values[at], &isnull[at], refusal))
			return false;
	}
	return true;
}

typedef struct CsvEncoder
{
	CsvDialect	dialect;
	int			ncolumns;
	AttrNumber *attnums;
	FmgrInfo   *outputs;
} CsvEncoder;

/* Prepares writing rows. */
static void *
csv_encode_compile(const Topic *topic)
{
	CsvEncoder *encoder = palloc0(sizeof(CsvEncoder));

	encoder->dialect = read_dialect(topic);
	encoder->attnums = palloc0(sizeof(AttrNumber) * (topic->ncolumns + 1));
	encoder->outputs = palloc0(sizeof(FmgrInfo) * (topic->ncolumns + 1));
	for (int i = 0; i < topic->ncolumns; i++)
	{
		Oid			output;
		bool		varlena;

		if (topic->columns[i].kind != COLUMN_VALUE)
			continue;
		getTypeOutputInfo(topic->columns[i].type, &output, &varlena);
		fmgr_info(output, &encoder->outputs[encoder->ncolumns]);
		encoder->attnums[encoder->ncolumns++] = topic->columns[i].attnum;
	}
	return encoder;
}

/* Whether a text would be read as something else without quotes. */
static bool
needs_quotes(const CsvDialect *dialect, const char *text)
{
	if (strcmp(text, dialect->null) == 0)
		return true;
	for (; *text != '\0'; text++)
		if (*text == dialect->delimiter || *text == dialect->quote || *text == '\n' || *text == '\r')
			return true;
	return false;
}

/* One value, quoted where needed. */
static void
write_field(const CsvDialect *dialect, const char *text, StringInfo out)
{
	if (!needs_quotes(dialect, text))
	{
		appendStringInfoString(out, text);
		return;
	}
	appendStringInfoChar(out, dialect->quote);
	for (; *text != '\0'; text++)
	{
		if (*text == dialect->quote || *text == dialect->escape)
			appendStringInfoChar(out, dialect->escape);
		appendStringInfoChar(out, *text);
	}
	appendStringInfoChar(out, dialect->quote);
}

/* Writes one row, in UTF-8, without a line end. */
static void
csv_encode(void *state, const Datum *values, const bool *isnull, StringInfo out)
{
	CsvEncoder *encoder = state;
	StringInfoData line;
	char	   *utf8;

	initStringInfo(&line);
	for (int i = 0; i < encoder->ncolumns; i++)
	{
		int			at = encoder->attnums[i] - 1;

		if (i > 0)
			appendStringInfoChar(&line, encoder->dialect.delimiter);
		if (isnull[at])
			appendStringInfoString(&line, encoder->dialect.null);
		else
			write_field(&encoder->dialect, OutputFunctionCall(&encoder->outputs[i], values[at]), &line);
	}
	utf8 = pg_server_to_any(line.data, line.len, PG_UTF8);
	appendStringInfoString(out, utf8);
}

static const char *const csv_options[] = {"delimiter", "quote", "escape", "null", "header", NULL};

const Format csv_format = {
	.name = "csv",
	.options = csv_options,
	.compile = csv_compile,
	.decode = csv_decode,
	.encode_compile = csv_encode_compile,
	.encode = csv_encode
};
