/*
 * row_reader.c
 *		Records of a bounded read as rows, or as reasons why they are none.
 *
 * In come records, out go rows in the same order.  Formats say what is wrong with
 * a record as a value, but input functions of some types, domains and CHECK
 * constraints run code that may throw instead.  Catching that takes a
 * subtransaction, and one per record would cost as much as the decoding.  So:
 *
 *	  may not throw:	next record -> decode -> row
 *	  may throw:		records at hand, up to READ_AHEAD
 *						|> decode all in one subtransaction
 *						|> when one threw: each in a subtransaction of its own
 *						-> rows, one by one
 *
 * Nothing is waited for inside a subtransaction: the first record of a group is
 * fetched before, the others are those that lie in the same batch.  In parallel
 * mode the server allows no subtransactions; there an error ends the query.
 *
 * Only errors that a record's content can cause are caught (blames_record());
 * cancel, lack of memory, locks and the like go on as errors.
 *
 * Memory: rows live in `rows` until the next group, or in their records.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "compat.h"
#include "fdw/row_reader.h"
#include "format/refusal.h"
#include "format/soft_call.h"

#define READ_AHEAD	64

/* One record with its row, or why it is none. */
typedef struct ReadRow
{
	const KafkaRecord *record;
	Datum	   *values;
	bool	   *isnull;
	bool		decoded;
	Refusal		refusal;
} ReadRow;

struct RowReader
{
	/* fixed */
	const Topic *topic;
	Decoder    *decoder;
	bool		may_throw;
	MemoryContext rows;

	/* where it is */
	BoundedRead *read;
	ReadRow    *group;
	int			ngroup;
	int			next;			/* of the group, to be handed out */
	const KafkaRecord *record;	/* being decoded, for the error context */
};

/* Whether decoding these columns runs code that may throw. */
static bool
may_throw(const Topic *topic, const Bitmapset *columns)
{
	if (topic->desc->constr != NULL && topic->desc->constr->num_check > 0)
		return true;
	for (int i = 0; i < topic->ncolumns; i++)
	{
		const TopicColumn *column = &topic->columns[i];

		if ((columns == NULL || bms_is_member(column->attnum, columns)) &&
			!type_input_is_pure(column->type))
			return true;
	}
	return false;
}

RowReader *
row_reader_create(const Topic *topic, const Bitmapset *columns)
{
	RowReader  *reader = palloc0(sizeof(RowReader));
	int			natts = topic->desc->natts;

	reader->topic = topic;
	reader->decoder = decoder_create(topic, columns);
	reader->may_throw = may_throw(topic, columns);
	reader->rows = AllocSetContextCreate(CurrentMemoryContext, "deltaflow rows of a topic",
										 ALLOCSET_DEFAULT_SIZES);
	reader->group = palloc0(READ_AHEAD * sizeof(ReadRow));
	for (int i = 0; i < READ_AHEAD; i++)
	{
		reader->group[i].values = palloc0((natts + 1) * sizeof(Datum));
		reader->group[i].isnull = palloc0((natts + 1) * sizeof(bool));
	}
	return reader;
}

void
row_reader_start(RowReader *reader, BoundedRead *read)
{
	reader->read = read;
	reader->ngroup = 0;
	reader->next = 0;
}

/* Position of the record at hand, for errors from decoding. */
static void
describe_record(void *arg)
{
	const RowReader *reader = arg;

	errcontext("record of topic \"%s\", partition %d, offset %lld",
			   reader->topic->name, reader->record->partition, (long long) reader->record->offset);
}

/* Decodes one record into its row of the group. */
static void
decode(RowReader *reader, ReadRow *row)
{
	reader->record = row->record;
	memset(&row->refusal, 0, sizeof(row->refusal));
	row->decoded = decoder_decode(reader->decoder, row->record, row->values, row->isnull, &row->refusal);
}

/* Errors that a record can cause by its content; all others are not its fault. */
static bool
blames_record(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_PLPGSQL_ERROR:
			return true;
		default:
			return false;
	}
}

/*
 * Decodes n rows in one subtransaction.  False when a record threw: nothing of the
 * rows is valid then, but for a single one, which has the error as its refusal.
 */
static bool
decode_guarded(RowReader *reader, ReadRow *rows, int n)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool fine = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		for (int i = 0; i < n; i++)
			decode(reader, &rows[i]);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!blames_record(error->sqlerrcode))
			ReThrowError(error);
		rows[0].decoded = refuse_error(&rows[0].refusal, error->column_name, error);
		fine = false;
	}
	PG_END_TRY();
	return fine;
}

/* Decodes the group. */
static void
decode_group(RowReader *reader)
{
	if (!reader->may_throw || IsInParallelMode())
	{
		for (int i = 0; i < reader->ngroup; i++)
			decode(reader, &reader->group[i]);
	}
	else if (!decode_guarded(reader, reader->group, reader->ngroup) && reader->ngroup > 1)
	{
		for (int i = 0; i < reader->ngroup; i++)
			decode_guarded(reader, &reader->group[i], 1);
	}
}

/* Takes the next records and decodes them; false when there are none. */
static bool
next_group(RowReader *reader)
{
	ErrorContextCallback callback = {error_context_stack, describe_record, reader};
	int			wanted = reader->may_throw ? READ_AHEAD : 1;
	const KafkaRecord *record = bounded_read_next(reader->read);
	MemoryContext old;

	reader->next = 0;
	reader->ngroup = 0;
	if (record == NULL)
		return false;
	while (record != NULL)
	{
		reader->group[reader->ngroup++].record = record;
		record = reader->ngroup < wanted ? bounded_read_at_hand(reader->read) : NULL;
	}

	MemoryContextReset(reader->rows);
	old = MemoryContextSwitchTo(reader->rows);
	reader->record = reader->group[0].record;
	error_context_stack = &callback;
	decode_group(reader);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(old);
	return true;
}

const KafkaRecord *
row_reader_next(RowReader *reader, Datum *values, bool *isnull, const Refusal **refusal)
{
	const ReadRow *row;
	int			natts = reader->topic->desc->natts;

	if (reader->next == reader->ngroup && !next_group(reader))
		return NULL;
	row = &reader->group[reader->next++];
	*refusal = row->decoded ? NULL : &row->refusal;
	if (row->decoded)
	{
		memcpy(values, row->values, natts * sizeof(Datum));
		memcpy(isnull, row->isnull, natts * sizeof(bool));
	}
	return row->record;
}
