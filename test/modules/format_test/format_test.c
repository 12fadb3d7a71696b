/*
 * format_test.c
 *		src/format as SQL functions, for its tests and its benchmark.
 *
 * deltaflow's own functions are hidden in its module, so this one is linked from
 * the same objects.  The topic is made up from an ordinary table (types,
 * constraints) and options given as arrays; there is no broker.
 */
#include "postgres.h"

#include <time.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/tupmacs.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/typcache.h"

#include "compat.h"
#include "format/format.h"

PG_MODULE_MAGIC;

PGDLLEXPORT PG_FUNCTION_INFO_V1(format_test_decode);
PGDLLEXPORT PG_FUNCTION_INFO_V1(format_test_encode);
PGDLLEXPORT PG_FUNCTION_INFO_V1(format_test_image);
PGDLLEXPORT PG_FUNCTION_INFO_V1(format_test_bench);

#define SOME_OPTIONS 20

/* Headers that every record of these tests has. */
static const KafkaHeader test_headers[] = {
	{"trace", "abc", 3}, {"trace", "d\"e", 3}, {"empty", "", 0}, {"none", NULL, 0},
	{"binary", "\xff\x00\x01", 3}
};

/* In place of the Kafka client's. */
int
record_headers(const KafkaRecord *record, KafkaHeader *headers, int max)
{
	for (int i = 0; i < Min(max, lengthof(test_headers)); i++)
		headers[i] = test_headers[i];
	return lengthof(test_headers);
}

/* The strings of a text[]; an empty list for NULL. */
static char **
get_texts(FunctionCallInfo fcinfo, int arg, int *n)
{
	Datum	   *elements;
	char	  **texts;

	*n = 0;
	if (PG_ARGISNULL(arg))
		return NULL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, n);
	texts = palloc(sizeof(char *) * (*n + 1));
	for (int i = 0; i < *n; i++)
		texts[i] = TextDatumGetCString(elements[i]);
	return texts;
}

/* 'a.b' to its parts. */
static void
set_path(TopicColumn *column, const char *field)
{
	char	   *copy = pstrdup(field);
	char	   *rest;

	column->path = palloc(sizeof(char *) * SOME_OPTIONS);
	column->path_len = 0;
	for (char *part = strtok_r(copy, ".", &rest); part; part = strtok_r(NULL, ".", &rest))
		column->path[column->path_len++] = part;
}

static TopicColumnKind
metadata_kind(const char *name)
{
	static const char *const names[] = {
		[COLUMN_VALUE] = "value", [COLUMN_PARTITION] = "partition", [COLUMN_OFFSET] = "offset",
		[COLUMN_TIMESTAMP] = "timestamp", [COLUMN_KEY] = "key", [COLUMN_HEADERS] = "headers",
		[COLUMN_TOPIC] = "topic", [COLUMN_UNKNOWN_FIELDS] = "unknown_fields"
	};

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(names[i], name) == 0)
			return i;
	elog(ERROR, "no metadata \"%s\"", name);
}

/* One 'column', 'option', 'value'. */
static void
set_column_option(Topic *topic, char **option)
{
	for (int i = 0; i < topic->ncolumns; i++)
	{
		TopicColumn *column = &topic->columns[i];

		if (strcmp(column->name, option[0]) != 0)
			continue;
		if (strcmp(option[1], "field") == 0)
			set_path(column, option[2]);
		else if (strcmp(option[1], "metadata") == 0)
			column->kind = metadata_kind(option[2]);
		else if (strcmp(option[1], "unit") == 0)
			column->unit = strcmp(option[2], "s") == 0 ? UNIT_SECONDS
				: strcmp(option[2], "ms") == 0 ? UNIT_MILLISECONDS : UNIT_MICROSECONDS;
	}
}

/* A topic of the table's shape. */
static Topic *
make_topic(Oid relid, char *format, char **options, int noptions, char **column_options, int ncolumn_options)
{
	Topic	   *topic = palloc0(sizeof(Topic));
	Relation	relation = relation_open(relid, AccessShareLock);

	topic->relid = relid;
	topic->name = "test";
	topic->format = format;
	topic->desc = CreateTupleDescCopyConstr(RelationGetDescr(relation));
	relation_close(relation, AccessShareLock);
	topic->columns = palloc0(sizeof(TopicColumn) * (topic->desc->natts + 1));
	for (int i = 0; i < topic->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(topic->desc, i);
		TopicColumn *column;

		if (attribute->attisdropped)
			continue;
		column = &topic->columns[topic->ncolumns++];
		column->attnum = attribute->attnum;
		column->name = pstrdup(NameStr(attribute->attname));
		column->type = attribute->atttypid;
		column->typmod = attribute->atttypmod;
		column->path = palloc(sizeof(char *));
		column->path[0] = column->name;
		column->path_len = 1;
	}
	for (int i = 0; i + 2 < ncolumn_options; i += 3)
		set_column_option(topic, &column_options[i]);
	topic->format_options = palloc0(sizeof(KafkaOption) * (noptions + 1));
	for (int i = 0; i + 1 < noptions; i += 2)
	{
		if (strcmp(options[i], "key_format") == 0)
			topic->key_format = options[i + 1];
		else
		{
			topic->format_options[topic->nformat_options].name = options[i];
			topic->format_options[topic->nformat_options++].value = options[i + 1];
		}
	}
	return topic;
}

/* The bytes of a value: of a by-value type the Datum's, else what it points at. */
static bytea *
image_of(Datum value, Oid type)
{
	int16		len;
	bool		byval;
	bytea	   *image;
	char	   *from;
	Size		size;

	get_typlenbyval(type, &len, &byval);
	if (len == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM(value));
	from = DatumGetPointer(value);
	size = datumGetSize(value, byval, len);
	if (byval)
	{
		from = palloc0(sizeof(Datum));
		store_att_byval(from, value, len);
	}
	image = palloc(VARHDRSZ + size);
	SET_VARSIZE(image, VARHDRSZ + size);
	memcpy(VARDATA(image), from, size);
	return image;
}

/* image(anyelement) returns bytea */
Datum
format_test_image(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(image_of(PG_GETARG_DATUM(0), get_fn_expr_argtype(fcinfo->flinfo, 0)));
}

/* Topic of the arguments shape, format, options, column_options. */
static Topic *
topic_of_args(FunctionCallInfo fcinfo)
{
	int			noptions;
	int			ncolumn_options;
	char	  **options = get_texts(fcinfo, 4, &noptions);
	char	  **column_options = get_texts(fcinfo, 5, &ncolumn_options);

	return make_topic(PG_GETARG_OID(0), text_to_cstring(PG_GETARG_TEXT_PP(2)),
					  options, noptions, column_options, ncolumn_options);
}

/* Column names to attribute numbers; NULL when not given. */
static Bitmapset *
needed_of_arg(FunctionCallInfo fcinfo, int arg)
{
	int			n;
	char	  **names = get_texts(fcinfo, arg, &n);
	Bitmapset  *needed = NULL;

	for (int i = 0; i < n; i++)
		needed = bms_add_member(needed, get_attnum(PG_GETARG_OID(0), names[i]));
	return needed;
}

static KafkaRecord
record_of_args(FunctionCallInfo fcinfo)
{
	KafkaRecord record = {.partition = 3, .offset = 1042, .timestamp_ms = 1234567890123};

	if (!PG_ARGISNULL(1))
	{
		record.value = VARDATA_ANY(PG_GETARG_BYTEA_PP(1));
		record.value_len = VARSIZE_ANY_EXHDR(PG_GETARG_BYTEA_PP(1));
	}
	if (!PG_ARGISNULL(3))
	{
		record.key = VARDATA_ANY(PG_GETARG_BYTEA_PP(3));
		record.key_len = VARSIZE_ANY_EXHDR(PG_GETARG_BYTEA_PP(3));
	}
	return record;
}

/* A decoder that lives as long as the query, and what it was made from. */
typedef struct CachedDecoder
{
	Oid			relid;
	Topic	   *topic;
	Decoder    *decoder;
} CachedDecoder;

static CachedDecoder *
cached_decoder(FunctionCallInfo fcinfo)
{
	CachedDecoder *cached = fcinfo->flinfo->fn_extra;
	MemoryContext caller;

	if (cached != NULL && cached->relid == PG_GETARG_OID(0) &&
		strcmp(cached->topic->format, text_to_cstring(PG_GETARG_TEXT_PP(2))) == 0)
		return cached;
	caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	cached = palloc(sizeof(CachedDecoder));
	cached->relid = PG_GETARG_OID(0);
	cached->topic = topic_of_args(fcinfo);
	cached->decoder = decoder_create(cached->topic, needed_of_arg(fcinfo, 6));
	fcinfo->flinfo->fn_extra = cached;
	MemoryContextSwitchTo(caller);
	return cached;
}

/* Decodes; an error thrown becomes a refusal too, and *thrown. */
static bool
decode_or_catch(Decoder *decoder, const KafkaRecord *record, Datum *values, bool *isnull,
				Refusal *refusal, bool *thrown)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool fine = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		fine = decoder_decode(decoder, record, values, isnull, refusal);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		memset(refusal, 0, sizeof(*refusal));
		refusal->sqlstate = error->sqlerrcode;
		refusal->message = error->message;
		refusal->stage = "thrown";
		*thrown = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return fine;
}

/* (row_text, image, sqlstate, stage, message, detail, column_name) */
Datum
format_test_decode(PG_FUNCTION_ARGS)
{
	CachedDecoder *cached = cached_decoder(fcinfo);
	Topic	   *topic = cached->topic;
	KafkaRecord record = record_of_args(fcinfo);
	Datum	   *values = palloc0(sizeof(Datum) * (topic->desc->natts + 1));
	bool	   *isnull = palloc0(sizeof(bool) * (topic->desc->natts + 1));
	Refusal		refusal;
	TupleDesc	desc;
	Datum		result[7] = {0};
	bool		nulls[7] = {true, true, true, true, true, true, true};
	bool		thrown = false;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "no composite");
	memset(&refusal, 0x7f, sizeof(refusal));	/* all parts must be set */
	if (decode_or_catch(cached->decoder, &record, values, isnull, &refusal, &thrown))
	{
		HeapTuple	row = heap_form_tuple(topic->desc, values, isnull);

		BlessTupleDesc(topic->desc);
		result[0] = CStringGetTextDatum(OidOutputFunctionCall(F_RECORD_OUT,
															  heap_copy_tuple_as_datum(row, topic->desc)));
		nulls[0] = false;
		nulls[1] = isnull[0];
		if (!isnull[0])
			result[1] = PointerGetDatum(image_of(values[0], TupleDescAttr(topic->desc, 0)->atttypid));
	}
	else
	{
		const char *parts[] = {unpack_sql_state(refusal.sqlstate), refusal.stage, refusal.message,
		refusal.detail, refusal.column};

		for (int i = 0; i < lengthof(parts); i++)
		{
			nulls[2 + i] = parts[i] == NULL;
			if (parts[i])
				result[2 + i] = CStringGetTextDatum(parts[i]);
		}
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, result, nulls)));
}

/* encode(shape, row record, format, -, options, column_options) returns text */
Datum
format_test_encode(PG_FUNCTION_ARGS)
{
	Topic	   *topic = topic_of_args(fcinfo);
	Encoder    *encoder = encoder_create(topic);
	HeapTupleHeader row = PG_GETARG_HEAPTUPLEHEADER(1);
	HeapTupleData tuple;
	Datum	   *values = palloc0(sizeof(Datum) * (topic->desc->natts + 1));
	bool	   *isnull = palloc0(sizeof(bool) * (topic->desc->natts + 1));
	EncodedRecord record;
	StringInfoData out;

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	tuple.t_data = row;
	heap_deform_tuple(&tuple, topic->desc, values, isnull);
	encoder_encode(encoder, values, isnull, &record);
	initStringInfo(&out);
	if (record.partition >= 0)
		appendStringInfo(&out, "partition=%d ", record.partition);
	if (record.key)
		appendStringInfo(&out, "key=%.*s ", (int) record.key_len, record.key);
	for (int i = 0; i < record.nheaders; i++)
		appendStringInfo(&out, "%s=%.*s ", record.headers[i].name,
						 (int) record.headers[i].value_len,
						 record.headers[i].value ? record.headers[i].value : "(null)");
	if (record.value)
		appendBinaryStringInfo(&out, record.value, record.value_len);
	else
		appendStringInfoString(&out, "tombstone");
	PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}

/* Time of one batch; a batch is short enough that some run undisturbed. */
static double
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Microseconds per record in the fastest of the batches of a thousand: what it costs undisturbed. */
Datum
format_test_bench(PG_FUNCTION_ARGS)
{
	Topic	   *topic = topic_of_args(fcinfo);
	Decoder    *decoder = decoder_create(topic, needed_of_arg(fcinfo, 6));
	KafkaRecord record = record_of_args(fcinfo);
	int			n = PG_GETARG_INT32(7);
	Datum	   *values = palloc0(sizeof(Datum) * 1000 * topic->desc->natts);
	bool	   *isnull = palloc0(sizeof(bool) * 1000 * topic->desc->natts);
	MemoryContext rows = AllocSetContextCreate(CurrentMemoryContext, "rows", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(rows);
	char	   *messages;
	Size		stride = record.value_len + 60;
	double		start = 0;
	double		best = 1e9;
	Refusal		refusal;

	/* as the client library delivers them: one behind the other, not the same bytes again */
	messages = MemoryContextAllocHuge(caller, stride * 1000 + 128);
	for (int i = 0; i < 1000; i++)
		memcpy(messages + stride * i, record.value, record.value_len);
	for (int i = 0; i < n; i++)
	{
		if (i % 1000 == 0)
		{
			double		now = seconds_now();

			if (i > 0 && now - start < best)
				best = now - start;
			MemoryContextReset(rows);
			start = seconds_now();
		}
		record.value = messages + stride * (i % 1000);
		if (!decoder_decode(decoder, &record, values + (i % 1000) * topic->desc->natts,
							isnull + (i % 1000) * topic->desc->natts, &refusal))
			elog(ERROR, "%s", refusal.message);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(rows);
	PG_RETURN_FLOAT8(best * 1e3);
}
