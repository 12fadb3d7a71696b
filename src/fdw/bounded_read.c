/*
 * bounded_read.c
 *		Reading given ranges of a topic's partitions, and no further.
 *
 * In go ranges [from, upto) per partition, out comes one record after the other.
 *
 *		partition 0	 ----|=================|- - ->		= handed out
 *		partition 1	 |===========|-  -  -  -  ->		- fetched perhaps, dropped
 *						 from			   upto
 *
 * A range is done when a record at or behind its last offset was seen, or when
 * the partition's end was reached: the last offsets of a log may be control
 * records or compacted away, so a record with offset upto - 1 may never come.
 * Everything before `next` was handed out exactly once; what the library delivers
 * twice is dropped here.
 *
 * The only waiting is in fetch_more(), on the process's one wait site; it ends
 * after broker_timeout without a record.  A statement that reads holds its
 * snapshot meanwhile: that is what a SELECT does.
 *
 * Memory: the reader and its batch live in the context it was opened in.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/bounded_read.h"
#include "worker/wait.h"

#define FETCH_RECORDS	1000	/* per poll: small, so that payload is still in cache when it is parsed */
#define MAX_SURPLUS		10000	/* records of finished partitions that are borne before they are dropped from the fetch */

struct BoundedRead
{
	/* identity */
	KafkaConsumer *consumer;
	const char *topic;

	/* what is read */
	ReadRange  *ranges;			/* rising by partition */
	int			nranges;
	int			nopen;			/* not done */

	/* where it is */
	KafkaBatch *batch;
	int			taken;			/* records of the batch handed out or dropped */
	int			surplus;		/* records of finished partitions since the assignment */
};

int			broker_timeout = 30000;

BoundedRead *
bounded_read_open(KafkaConsumer *consumer, const char *topic)
{
	BoundedRead *read = palloc0(sizeof(BoundedRead));

	read->consumer = consumer;
	read->topic = topic;
	read->batch = batch_create(FETCH_RECORDS);
	return read;
}

/* Tells the library to fetch the ranges that are not done, from where they are. */
static void
assign_open_ranges(BoundedRead *read)
{
	KafkaPosition *positions = palloc(Max(read->nopen, 1) * sizeof(KafkaPosition));
	int			n = 0;

	for (int i = 0; i < read->nranges; i++)
	{
		const ReadRange *range = &read->ranges[i];

		if (!range->done)
			positions[n++] = (KafkaPosition) {range->partition, range->next};
	}
	consumer_assign(read->consumer, positions, n);
	read->surplus = 0;
	pfree(positions);
}

void
bounded_read_start(BoundedRead *read, const ReadRange *ranges, int n)
{
	batch_release(read->batch, read->batch->nrecords);
	read->taken = 0;
	if (read->ranges != NULL)
		pfree(read->ranges);
	read->ranges = MemoryContextAlloc(GetMemoryChunkContext(read), Max(n, 1) * sizeof(ReadRange));
	read->nranges = n;
	read->nopen = 0;
	for (int i = 0; i < n; i++)
	{
		ReadRange  *range = &read->ranges[i];

		*range = ranges[i];
		range->next = range->from;
		range->done = range->from >= range->upto;
		read->nopen += !range->done;
	}
	if (read->nopen > 0)
		assign_open_ranges(read);
}

/* The range of a partition, NULL when it is not read. */
static ReadRange *
find_range(BoundedRead *read, int32 partition)
{
	int			low = 0;
	int			high = read->nranges - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;

		if (read->ranges[middle].partition == partition)
			return &read->ranges[middle];
		if (read->ranges[middle].partition < partition)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

/* Nothing more is wanted of this range. */
static void
finish(BoundedRead *read, ReadRange *range)
{
	if (!range->done)
		read->nopen--;
	range->done = true;
}

/* Whether a record is to be handed out; moves its range. */
static bool
take(BoundedRead *read, const KafkaRecord *record)
{
	ReadRange  *range = find_range(read, record->partition);

	if (range == NULL || range->done)
	{
		read->surplus++;
		return false;
	}
	if (record->offset < range->next)
		return false;
	range->next = Min(record->offset, range->upto - 1) + 1;
	if (range->next >= range->upto)
		finish(read, range);
	return record->offset < range->upto;
}

/* Ranges whose partition's end was reached.  All records before the ends were taken. */
static void
take_ends(BoundedRead *read)
{
	for (int i = 0; i < read->batch->nends; i++)
	{
		const KafkaEnd *end = &read->batch->ends[i];
		ReadRange  *range = find_range(read, end->partition);

		if (range == NULL || range->done)
			continue;
		if (end->next_offset < range->upto)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_ERROR),
					 errmsg("topic \"%s\" became shorter while it was read", read->topic),
					 errdetail("Partition %d ends at offset %lld now, before offset %lld.",
							   end->partition, (long long) end->next_offset, (long long) range->upto),
					 errhint("The broker lost records or the topic was created again; run the query again to read what there is.")));
		finish(read, range);
	}
}

/* What the broker complained about: waits on when that may help, else ERROR. */
static void
check_fault(BoundedRead *read, KafkaFault *trouble)
{
	KafkaFault	fault;

	while ((fault = consumer_fault(read->consumer)).kind != KAFKA_NO_FAULT)
	{
		switch (fault.kind)
		{
			case KAFKA_BROKER_AWAY:
				*trouble = fault;
				break;
			case KAFKA_OFFSET_LOST:
				ereport(ERROR,
						(errcode(ERRCODE_FDW_ERROR),
						 errmsg("records of topic \"%s\" are gone", read->topic),
						 errdetail("Partition %d: %s", fault.partition, fault.message),
						 errhint("The broker removed them while they were read, for their age or the topic's size; run the query again to read what is left.")));
				break;
			case KAFKA_TOPIC_MISSING:
				ereport(ERROR,
						(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
						 errmsg("topic \"%s\" does not exist any more", read->topic),
						 errdetail("%s", fault.message),
						 errhint("Check option topic of the foreign table and the broker's list of topics.")));
				break;
			case KAFKA_REFUSED:
				ereport(ERROR,
						(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
						 errmsg("broker refused to let topic \"%s\" be read", read->topic),
						 errdetail("%s", fault.message),
						 errhint("Check the options of the server and of the user mapping.")));
				break;
			default:
				ereport(ERROR,
						(errcode(ERRCODE_FDW_ERROR),
						 errmsg("could not read topic \"%s\"", read->topic),
						 errdetail("%s", fault.message)));
		}
	}
}

/* The broker gave nothing for too long. */
static void
raise_timeout(const BoundedRead *read, const KafkaFault *trouble)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("could not read topic \"%s\": no answer from the broker within %d ms",
					read->topic, broker_timeout),
			 trouble->kind != KAFKA_NO_FAULT ? errdetail("%s", trouble->message) : 0,
			 errhint("Check that the broker runs and is reachable, or raise deltaflow.broker_timeout.")));
}

/* Fills the batch with what there is; waits until there is something. */
static void
fetch_more(BoundedRead *read)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), broker_timeout);
	KafkaFault	trouble = {KAFKA_NO_FAULT};

	for (;;)
	{
		long		left;

		CHECK_FOR_INTERRUPTS();
		consumer_poll(read->consumer, read->batch, FETCH_RECORDS);
		if (read->batch->nrecords > 0 || read->batch->nends > 0)
			return;
		check_fault(read, &trouble);
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		if (left <= 0)
			raise_timeout(read, &trouble);
		wait_for(consumer_wakeup_fd(read->consumer), left, WAIT_FOR_BROKER);
		consumer_drain_wakeup(read->consumer);
	}
}

const KafkaRecord *
bounded_read_at_hand(BoundedRead *read)
{
	const KafkaBatch *batch = read->batch;

	while (read->taken < batch->nrecords)
	{
		const KafkaRecord *record = &batch->records[read->taken++];

		if (take(read, record))
			return record;
	}
	return NULL;
}

const KafkaRecord *
bounded_read_next(BoundedRead *read)
{
	KafkaBatch *batch = read->batch;
	const KafkaRecord *record;

	for (;;)
	{
		record = bounded_read_at_hand(read);
		if (record != NULL)
			return record;
		take_ends(read);
		batch_release(batch, batch->nrecords);
		read->taken = 0;
		if (read->nopen == 0)
			return NULL;
		if (read->surplus > MAX_SURPLUS)
			assign_open_ranges(read);
		fetch_more(read);
	}
}

void
bounded_read_close(BoundedRead *read)
{
	batch_destroy(read->batch);
	if (read->ranges != NULL)
		pfree(read->ranges);
	pfree(read);
}
