/*
 * record.c
 *		Batches of records.
 *
 * A batch owns library messages: each keeps a response buffer of the broker
 * alive, and as long as one is held the consumer cannot be destroyed.  So a batch
 * stands in its consumer's list while it holds any, lives in a memory context of
 * its own, and gives its messages back when
 *
 *	  - it is released or destroyed,
 *	  - its memory context goes away (an aborted transaction, a closed pipeline),
 *	  - its consumer is closed first.
 *
 * Main thread only; no locks.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "kafka/batch.h"
#include "kafka/client.h"

/* Gives all messages back and forgets the consumer; the batch is empty then. */
void
batch_abandon(KafkaBatch *batch)
{
	for (int i = 0; i < batch->nrecords; i++)
		rd_kafka_message_destroy(batch->records[i].message);
	batch->nrecords = 0;
	batch->nends = 0;
	batch->bytes = 0;
	if (batch->owner != NULL)
		dlist_delete(&batch->node);
	batch->owner = NULL;
}

/* The batch's memory context goes away. */
static void
batch_context_gone(void *arg)
{
	batch_abandon((KafkaBatch *) arg);
}

KafkaBatch *
batch_create(int capacity)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "deltaflow kafka batch",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	KafkaBatch *batch = palloc0(sizeof(KafkaBatch));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	batch->context = context;
	batch->capacity = Max(capacity, 16);
	batch->records = palloc(batch->capacity * sizeof(KafkaRecord));
	batch->ends_capacity = 16;
	batch->ends = palloc(batch->ends_capacity * sizeof(KafkaEnd));
	callback->func = batch_context_gone;
	callback->arg = batch;
	MemoryContextRegisterResetCallback(context, callback);
	MemoryContextSwitchTo(old);
	return batch;
}

/* Makes room for n more records; bigger than 1 GB is fine. */
void
batch_reserve(KafkaBatch *batch, int n)
{
	int			wanted = batch->nrecords + n;

	if (wanted <= batch->capacity)
		return;
	batch->capacity = Max(wanted, 2 * batch->capacity);
	batch->records = repalloc_huge(batch->records, (Size) batch->capacity * sizeof(KafkaRecord));
}

/* Notes the end of a partition, in place of an earlier one. */
void
batch_add_end(KafkaBatch *batch, int32 partition, int64 next_offset)
{
	KafkaEnd   *end;

	for (int i = 0; i < batch->nends; i++)
	{
		if (batch->ends[i].partition != partition)
			continue;
		memmove(&batch->ends[i], &batch->ends[i + 1],
				(batch->nends - i - 1) * sizeof(KafkaEnd));
		batch->nends--;
		break;
	}
	if (batch->nends == batch->ends_capacity)
	{
		batch->ends_capacity *= 2;
		batch->ends = repalloc(batch->ends, batch->ends_capacity * sizeof(KafkaEnd));
	}
	end = &batch->ends[batch->nends++];
	end->partition = partition;
	end->next_offset = next_offset;
	end->after = batch->nrecords;
}

/* Drops the ends reached within the first n records, and renumbers the others. */
static void
release_ends(KafkaBatch *batch, int n)
{
	int			kept = 0;

	for (int i = 0; i < batch->nends; i++)
	{
		if (batch->ends[i].after <= n)
			continue;
		batch->ends[kept] = batch->ends[i];
		batch->ends[kept++].after -= n;
	}
	batch->nends = kept;
}

void
batch_release(KafkaBatch *batch, int n)
{
	Assert(n >= 0 && n <= batch->nrecords);
	if (n == batch->nrecords)
	{
		batch_abandon(batch);
		return;
	}
	for (int i = 0; i < n; i++)
	{
		batch->bytes -= batch->records[i].key_len + batch->records[i].value_len;
		rd_kafka_message_destroy(batch->records[i].message);
	}
	release_ends(batch, n);
	batch->nrecords -= n;
	memmove(batch->records, batch->records + n, (Size) batch->nrecords * sizeof(KafkaRecord));
}

void
batch_destroy(KafkaBatch *batch)
{
	MemoryContextDelete(batch->context);
}

int
record_headers(const KafkaRecord *record, KafkaHeader *headers, int max)
{
	rd_kafka_headers_t *list;
	const char *name;
	const void *value;
	size_t		len;
	int			n = 0;

	if (rd_kafka_message_headers(record->message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	while (rd_kafka_header_get_all(list, n, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		if (n < max)
		{
			headers[n].name = name;
			headers[n].value = value;
			headers[n].value_len = len;
		}
		n++;
	}
	return n;
}
