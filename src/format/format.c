/*
 * format.c
 *		Bytes of a record to a row of the topic's foreign table: the registry of
 *		formats and the frame that all of them share.
 *
 *		record --caps--> format's decode --> value columns --.
 *		   '------------> metadata columns ------------------+--> NOT NULL, CHECK --> row
 *
 * A decoder is compiled once: which columns are needed, how each one's type is
 * read (value.c), where its text comes from (json.c, csv.c, raw.c), and which
 * constraints can be judged.  Then every record is one pass over those steps.
 *
 * What is wrong with a record is a Refusal.  Only input functions that are neither
 * soft nor pure (soft_call.c), and expressions of constraints, may throw.
 *
 * Memory: a decoder has a context of its own under the one current at its
 * creation; rows and refusals are made in the context current at the call.  No
 * locks; the relation is locked by whoever loaded the topic.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "compat.h"
#include "format/codec.h"
#include "format/refusal.h"

static const Format *const formats[] = {&json_format, &csv_format, &raw_format};

/* The format of that name. */
const Format *
format_find(const char *name)
{
	for (int i = 0; i < lengthof(formats); i++)
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	return NULL;
}

/* Whether option format takes this name. */
bool
format_exists(const char *name)
{
	return format_find(name) != NULL;
}

/* The names it takes, for a hint. */
const char *
format_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < lengthof(formats); i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", formats[i]->name);
	return names.data;
}

/* Whether that format reads an option of that name. */
bool
format_has_option(const char *format, const char *name)
{
	const Format *found = format_find(format);

	for (const char *const *option = found ? found->options : NULL; option && *option; option++)
		if (strcmp(*option, name) == 0)
			return true;
	return false;
}

/* Value of an option that only the topic's format reads. */
const char *
format_option(const Topic *topic, const char *name)
{
	for (int i = 0; i < topic->nformat_options; i++)
		if (strcmp(topic->format_options[i].name, name) == 0)
			return topic->format_options[i].value;
	return NULL;
}

/* Whether anyone needs the column. */
static bool
is_needed(const Bitmapset *needed, const TopicColumn *column)
{
	return needed == NULL || bms_is_member(column->attnum, needed);
}

/* Sorts the needed columns into those of the value and those of the record. */
static void
compile_columns(Decoder *decoder, const Bitmapset *needed)
{
	const Topic *topic = decoder->topic;

	decoder->values = palloc0(sizeof(DecodeColumn) * (topic->ncolumns + 1));
	decoder->metadata = palloc0(sizeof(DecodeColumn) * (topic->ncolumns + 1));
	for (int i = 0; i < topic->ncolumns; i++)
	{
		const TopicColumn *column = &topic->columns[i];
		DecodeColumn *step;

		if (!is_needed(needed, column))
			continue;
		metadata_check(column);
		step = column->kind == COLUMN_VALUE ? &decoder->values[decoder->nvalues++]
			: &decoder->metadata[decoder->nmetadata++];
		step->column = column;
		step->at = column->attnum - 1;
		step->reader = value_reader_create(column);
		if (column->kind == COLUMN_UNKNOWN_FIELDS)
			decoder->unknown_fields = step;
	}
}

/* Only json has unknown fields to collect. */
static void
check_unknown_fields(const Decoder *decoder)
{
	if (decoder->unknown_fields != NULL && decoder->format != &json_format)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("column \"%s\" cannot hold unknown fields of format \"%s\"",
						decoder->unknown_fields->column->name, decoder->format->name),
				 errhint("Only format \"json\" has fields that are not declared.")));
}

/* Compiles how records of the topic become rows. */
Decoder *
decoder_create(const Topic *topic, const Bitmapset *needed)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "deltaflow decoder",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Decoder    *decoder = palloc0(sizeof(Decoder));

	decoder->context = context;
	decoder->topic = topic;
	decoder->format = format_find(topic->format);
	if (decoder->format == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("unrecognized format \"%s\"", topic->format),
				 errhint("Valid formats are: %s.", format_names())));
	decoder->key_format = topic->key_format ? format_find(topic->key_format) : &raw_format;
	compile_columns(decoder, needed);
	check_unknown_fields(decoder);
	decoder->format->compile(decoder);
	decoder->check = row_check_create(topic, needed);
	MemoryContextSwitchTo(caller);
	return decoder;
}

/* Frees all of it; malloc'ed parts hang on the context by callbacks. */
void
decoder_destroy(Decoder *decoder)
{
	MemoryContextDelete(decoder->context);
}

/* A tombstone is a row of NULLs, as far as domains allow. */
static bool
decode_tombstone(Decoder *decoder, Datum *values, bool *isnull, Refusal *refusal)
{
	for (int i = 0; i < decoder->nvalues; i++)
	{
		int			at = decoder->values[i].at;

		if (!value_from_null(decoder->values[i].reader, &values[at], &isnull[at], refusal))
			return false;
	}
	return true;
}

/* A record larger than it may be is not looked at. */
static bool
refuse_size(size_t len, Refusal *refusal)
{
	return refuse_with_detail(refusal, ERRCODE_PROGRAM_LIMIT_EXCEEDED, NULL,
							  psprintf("record of %zu bytes is too large", len),
							  pstrdup("The limit is the setting deltaflow.max_record_size."));
}

/* One record into values[] and isnull[]. */
bool
decoder_decode(Decoder *decoder, const KafkaRecord *record,
			   Datum *values, bool *isnull, Refusal *refusal)
{
	int			natts = decoder->topic->desc->natts;

	memset(values, 0, sizeof(Datum) * natts);
	memset(isnull, true, natts);
	if (unlikely(record->value_len > record_limit()))
		return refuse_size(record->value_len, refusal);
	if (likely(record->value != NULL))
	{
		if (!decoder->format->decode(decoder, record->value, record->value_len,
									 values, isnull, refusal))
			return false;
	}
	else if (!decode_tombstone(decoder, values, isnull, refusal))
		return false;
	if (decoder->nmetadata > 0 && !metadata_decode(decoder, record, values, isnull, refusal))
		return false;
	return decoder->check == NULL || row_check_run(decoder->check, values, isnull, refusal);
}
