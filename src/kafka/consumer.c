/*
 * consumer.c
 *		Reading one topic's partitions from given offsets.
 *
 * In: positions.  Out: records and ends of partitions, in the order the broker's
 * log has them; faults beside.
 *
 *	  consumer_assign --> library fetches --> consumer_poll --> batch
 *													\--> fault kept
 *
 * An aligned consumer reads each partition from a queue of its own and takes next
 * from the one that is furthest behind by the records' timestamps.  The library
 * fetches partitions at whatever pace it likes and would let them drift apart for
 * good; so they stay together, and what belongs together in time (a group, a window)
 * is met in one epoch rather than in several.  Nobody waits for a partition that has
 * nothing to give.
 *
 * Invariants:
 *	  - per partition, records come in rising offsets from the position assigned,
 *		and nothing follows a fault of that partition: a gap that the broker did not
 *		make (damaged data, lost offsets) can never be read over;
 *	  - an end says where the next fetch would be, so positions move over control
 *		records and compacted gaps;
 *	  - positions belong to the caller: nothing is committed to the broker.
 *
 * Main thread only.  Memory: the client's own context, see client.c.
 */
#include "postgres.h"

#include <time.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "kafka/batch.h"
#include "kafka/client.h"
#include "kafka/settings.h"

#define QUEUE_OPTION	"queued.max.messages.kbytes"

#define POLL_CHUNK	1024
#define ALIGNED_TURN	256		/* records taken from one partition before looking at the others */
#define ALIGNED_LEAST_KB	2048	/* a partition's queue must hold several fetches */

typedef enum PartitionState
{
	PARTITION_UNASSIGNED,
	PARTITION_READING,
	PARTITION_STOPPED			/* after a fault, until assigned again */
} PartitionState;

typedef struct PartitionReader
{
	PartitionState state;
	rd_kafka_queue_t *queue;	/* of an aligned consumer; NULL: records come through the common queue */
	int64		reached;		/* timestamp of the last record taken, ms; never ahead of the clock */
	int64		taken;			/* records */
} PartitionReader;

struct KafkaConsumer
{
	KafkaClient client;			/* first: client_open() makes it all */
	dlist_head	batches;		/* that hold messages of ours */
	bool		aligned;
	PartitionReader *partitions;	/* by number */
	int			npartitions;
	rd_kafka_message_t *chunk[POLL_CHUNK];	/* between library and batch, empty between calls */
};

/*
 * Before the handle goes: messages of ours would keep it waiting, and so would those in
 * a partition's own queue, which closing does not empty.  Back in the common queue they
 * are taken with the rest.
 */
static void
consumer_before_close(void *arg)
{
	KafkaConsumer *consumer = arg;

	while (!dlist_is_empty(&consumer->batches))
		batch_abandon(dlist_container(KafkaBatch, node, dlist_head_node(&consumer->batches)));
	for (int i = 0; i < consumer->npartitions; i++)
	{
		PartitionReader *reader = &consumer->partitions[i];

		if (reader->queue != NULL)
			rd_kafka_queue_forward(reader->queue, consumer->client.records);
		client_release_queue(&reader->queue);
	}
}

KafkaConsumer *
consumer_open(const char *topic, const KafkaOption *options, int noptions)
{
	KafkaConsumer *consumer = (KafkaConsumer *)
		client_open(RD_KAFKA_CONSUMER, sizeof(KafkaConsumer), topic, options, noptions);

	dlist_init(&consumer->batches);
	consumer->client.before_close = consumer_before_close;
	consumer->client.before_close_arg = consumer;
	return consumer;
}

/* What one partition's queue may hold, so that all hold what the common queue would; KB. */
static int
aligned_queue_kb(int npartitions)
{
	for (int i = 0; i < N_CLIENT_SETTINGS; i++)
	{
		const ClientSetting *setting = &client_settings[i];

		if (strcmp(setting->name, QUEUE_OPTION) == 0 && client_setting_applies(setting))
			return Max(atoi(setting->value) / Max(npartitions, 1), ALIGNED_LEAST_KB);
	}
	elog(ERROR, "no setting \"%s\"", QUEUE_OPTION);
}

KafkaConsumer *
consumer_open_aligned(const char *topic, const KafkaOption *options, int noptions, int npartitions)
{
	KafkaOption *all = palloc((noptions + 1) * sizeof(KafkaOption));
	KafkaConsumer *consumer;

	/* ours first: a user's own value replaces it */
	all[0].name = QUEUE_OPTION;
	all[0].value = psprintf("%d", aligned_queue_kb(npartitions));
	memcpy(all + 1, options, noptions * sizeof(KafkaOption));
	consumer = consumer_open(topic, all, noptions + 1);
	consumer->aligned = true;
	pfree(all);
	return consumer;
}

void
consumer_close(KafkaConsumer *consumer)
{
	client_close(&consumer->client);
}

/* Makes room for partitions up to a number; those that are there stay as they are. */
static void
reserve_partitions(KafkaConsumer *consumer, int npartitions)
{
	PartitionReader *before = consumer->partitions;

	if (npartitions <= consumer->npartitions)
		return;
	consumer->partitions = MemoryContextAllocZero(consumer->client.context, npartitions * sizeof(PartitionReader));
	if (before != NULL)
	{
		memcpy(consumer->partitions, before, consumer->npartitions * sizeof(PartitionReader));
		pfree(before);
	}
	consumer->npartitions = npartitions;
}

/* Gives a partition a queue of its own, before the library begins to fill it. */
static void
separate(KafkaConsumer *consumer, int32 partition)
{
	PartitionReader *reader = &consumer->partitions[partition];

	if (!consumer->aligned || reader->queue != NULL)
		return;
	reader->queue = rd_kafka_queue_get_partition(consumer->client.handle, consumer->client.topic, partition);
	if (reader->queue == NULL)
		return;
	rd_kafka_queue_forward(reader->queue, NULL);
	client_wake_by(&consumer->client, reader->queue);
}

/* Notes which partitions are read from now on. */
static void
note_assignment(KafkaConsumer *consumer, const KafkaPosition *positions, int n)
{
	int			npartitions = 0;

	for (int i = 0; i < n; i++)
		npartitions = Max(npartitions, positions[i].partition + 1);
	reserve_partitions(consumer, npartitions);
	for (int i = 0; i < consumer->npartitions; i++)
		consumer->partitions[i].state = PARTITION_UNASSIGNED;
	for (int i = 0; i < n; i++)
	{
		consumer->partitions[positions[i].partition].state = PARTITION_READING;
		separate(consumer, positions[i].partition);
	}
}

void
consumer_assign(KafkaConsumer *consumer, const KafkaPosition *positions, int n)
{
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err;

	note_assignment(consumer, positions, n);
	list = rd_kafka_topic_partition_list_new(n);
	for (int i = 0; i < n; i++)
	{
		Assert(positions[i].offset >= 0);
		rd_kafka_topic_partition_list_add(list, consumer->client.topic,
										  positions[i].partition)->offset = positions[i].offset;
	}
	err = rd_kafka_assign(consumer->client.handle, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		client_raise(&consumer->client, err, "read");
}

/* State of a partition by number; the broker may name one we do not read. */
static inline PartitionState
partition_state(const KafkaConsumer *consumer, int32 partition)
{
	if (partition < 0 || partition >= consumer->npartitions)
		return PARTITION_UNASSIGNED;
	return consumer->partitions[partition].state;
}

/* Puts a message into the batch, which owns it from now on. */
static inline void
take_record(KafkaBatch *batch, rd_kafka_message_t *message)
{
	KafkaRecord *record = &batch->records[batch->nrecords++];
	rd_kafka_timestamp_type_t type;

	record->partition = message->partition;
	record->offset = message->offset;
	record->key = message->key;
	record->key_len = message->key_len;
	record->value = message->payload;
	record->value_len = message->len;
	record->timestamp_ms = rd_kafka_message_timestamp(message, &type);
	record->broker_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
	record->message = message;
	batch->bytes += message->key_len + message->len;
}

/* A message that is not a record: an end, or what is wrong with a partition. */
static void
take_notice(KafkaConsumer *consumer, KafkaBatch *batch, const rd_kafka_message_t *message)
{
	int32		partition = message->rkt != NULL ? message->partition : -1;
	KafkaFaultKind kind;

	if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
	{
		if (partition_state(consumer, partition) == PARTITION_READING)
			batch_add_end(batch, partition, message->offset);
		return;
	}
	kind = client_fault_kind(message->err);
	if (kind == KAFKA_NO_FAULT)
		return;
	client_keep_fault(&consumer->client, kind, partition, rd_kafka_message_errstr(message));
	if ((kind == KAFKA_OFFSET_LOST || kind == KAFKA_BROKEN) &&
		partition_state(consumer, partition) == PARTITION_READING)
		consumer->partitions[partition].state = PARTITION_STOPPED;
}

/* Sorts a chunk of messages into the batch; returns the number of records. */
static int
take_chunk(KafkaConsumer *consumer, KafkaBatch *batch, int n)
{
	int			before = batch->nrecords;

	for (int i = 0; i < n; i++)
	{
		rd_kafka_message_t *message = consumer->chunk[i];

		if (likely(message->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
				   partition_state(consumer, message->partition) == PARTITION_READING))
		{
			take_record(batch, message);
			continue;
		}
		if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			take_notice(consumer, batch, message);
		rd_kafka_message_destroy(message);
	}
	return batch->nrecords - before;
}

/* The batch belongs to this consumer while it holds records of it. */
static void
own_batch(KafkaConsumer *consumer, KafkaBatch *batch)
{
	if (batch->owner == &consumer->batches)
		return;
	if (batch->nrecords > 0)
		elog(ERROR, "a batch of records cannot hold those of two consumers");
	batch_abandon(batch);
	batch->owner = &consumer->batches;
	dlist_push_tail(&consumer->batches, &batch->node);
}

/* Takes up to max records that a queue holds now. */
static int
take_from(KafkaConsumer *consumer, KafkaBatch *batch, rd_kafka_queue_t *queue, int max)
{
	int			taken = 0;

	while (taken < max)
	{
		/* asked once, as it grows under us: Min() evaluates what it returns twice */
		size_t		waiting = rd_kafka_queue_length(queue);
		int			wanted = Min(max - taken, POLL_CHUNK);
		ssize_t		n;

		/* asking for what is there avoids a timed wait at the queue's end */
		wanted = Min(wanted, waiting);
		if (wanted == 0)
			break;
		batch_reserve(batch, wanted);	/* may raise: before messages are ours */
		n = rd_kafka_consume_batch_queue(queue, 0, consumer->chunk, wanted);
		if (n <= 0)
			break;
		taken += take_chunk(consumer, batch, (int) n);
	}
	return taken;
}

/* Is a partition behind another: by time, and where that says nothing by records? */
static inline bool
is_behind(const PartitionReader *a, const PartitionReader *b)
{
	return a->reached != b->reached ? a->reached < b->reached : a->taken < b->taken;
}

/* Of the partitions that have something to give, the one furthest behind; NULL: none has. */
static PartitionReader *
furthest_behind(KafkaConsumer *consumer)
{
	PartitionReader *least = NULL;

	for (int i = 0; i < consumer->npartitions; i++)
	{
		PartitionReader *reader = &consumer->partitions[i];

		if (reader->queue != NULL && (least == NULL || is_behind(reader, least)) &&
			rd_kafka_queue_length(reader->queue) > 0)
			least = reader;
	}
	return least;
}

/* One turn of a partition. */
static int
take_turn(KafkaConsumer *consumer, KafkaBatch *batch, PartitionReader *reader, int max, int64 now_ms)
{
	int			taken = take_from(consumer, batch, reader->queue, Min(max, ALIGNED_TURN));

	reader->taken += taken;
	if (taken > 0)
		reader->reached = Min(batch->records[batch->nrecords - 1].timestamp_ms, now_ms);
	return taken;
}

int
consumer_poll(KafkaConsumer *consumer, KafkaBatch *batch, int max)
{
	int64		now_ms = consumer->aligned ? (int64) (time(NULL) + 1) * 1000 : 0;
	PartitionReader *reader;
	int			taken;

	client_serve(&consumer->client, NULL, NULL);
	own_batch(consumer, batch);
	taken = take_from(consumer, batch, consumer->client.records, max);
	while (taken < max && (reader = furthest_behind(consumer)) != NULL)
		taken += take_turn(consumer, batch, reader, max - taken, now_ms);
	return taken;
}

KafkaFault
consumer_fault(KafkaConsumer *consumer)
{
	KafkaClient *client = &consumer->client;
	KafkaFault	fault = {KAFKA_NO_FAULT, -1, ""};

	client_serve(client, NULL, NULL);
	if (client->nfaults > 0)
	{
		fault = client->faults[0];
		client->nfaults--;
		memmove(&client->faults[0], &client->faults[1], client->nfaults * sizeof(KafkaFault));
	}
	return fault;
}

int
consumer_wakeup_fd(KafkaConsumer *consumer)
{
	return consumer->client.wakeup_fd;
}

void
consumer_drain_wakeup(KafkaConsumer *consumer)
{
	client_drain_wakeup(&consumer->client);
}

bool
consumer_cached_range(KafkaConsumer *consumer, int32 partition, int64 *low, int64 *high)
{
	if (partition_state(consumer, partition) == PARTITION_UNASSIGNED)
		return false;
	return rd_kafka_get_watermark_offsets(consumer->client.handle, consumer->client.topic,
										  partition, low, high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
		*low >= 0 && *high >= 0;
}

/* Question: the topic's metadata.  arg is where to put them. */
static rd_kafka_resp_err_t
ask_metadata(KafkaClient *client, void *arg, int step_ms)
{
	const struct rd_kafka_metadata **metadata = arg;
	rd_kafka_resp_err_t err;

	err = rd_kafka_metadata(client->handle, 0, client_topic(client), metadata, step_ms);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR && (*metadata)->topic_cnt == 1)
		err = (*metadata)->topics[0].err;
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR && *metadata != NULL)
	{
		rd_kafka_metadata_destroy(*metadata);
		*metadata = NULL;
	}
	return err;
}

/* Orders ranges by partition. */
static int
compare_ranges(const void *a, const void *b)
{
	int32		x = ((const KafkaRange *) a)->partition;
	int32		y = ((const KafkaRange *) b)->partition;

	return (x > y) - (x < y);
}

/* The topic's partitions, rising, with nothing but their numbers. */
static KafkaRange *
fetch_partitions(KafkaConsumer *consumer, int *n, int timeout_ms)
{
	KafkaClient *client = &consumer->client;
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_resp_err_t err;
	KafkaRange *ranges;

	err = client_ask(client, ask_metadata, &metadata, timeout_ms);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topics[0].partition_cnt == 0)
	{
		rd_kafka_metadata_destroy(metadata);
		err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
	}
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		client_raise(client, err, "find the partitions of");
	*n = metadata->topics[0].partition_cnt;
	ranges = palloc_extended(*n * sizeof(KafkaRange), MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);
	for (int i = 0; ranges != NULL && i < *n; i++)
		ranges[i].partition = metadata->topics[0].partitions[i].id;
	rd_kafka_metadata_destroy(metadata);
	if (ranges == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	qsort(ranges, *n, sizeof(KafkaRange), compare_ranges);
	return ranges;
}

/* Question: offsets for the times in the list (or logical offsets); arg is the list. */
static rd_kafka_resp_err_t
ask_offsets(KafkaClient *client, void *arg, int step_ms)
{
	rd_kafka_topic_partition_list_t *wanted = arg;
	rd_kafka_topic_partition_list_t *answer = rd_kafka_topic_partition_list_copy(wanted);
	rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(client->handle, answer, step_ms);

	for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < answer->cnt; i++)
		err = answer->elems[i].err;
	for (int i = 0; err == RD_KAFKA_RESP_ERR_NO_ERROR && i < answer->cnt; i++)
		wanted->elems[i].offset = answer->elems[i].offset;
	rd_kafka_topic_partition_list_destroy(answer);
	return err;
}

/*
 * Offsets for one time, the same for all positions, written into them.  One request
 * per broker; RD_KAFKA_OFFSET_BEGINNING and _END stand for the log's two ends.
 */
static void
fetch_offsets(KafkaConsumer *consumer, KafkaPosition *positions, int n, int64 time, int timeout_ms)
{
	KafkaClient *client = &consumer->client;
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err;

	if (n == 0)
		return;
	list = rd_kafka_topic_partition_list_new(n);
	for (int i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, client->topic, positions[i].partition)->offset = time;
	PG_TRY();
	{
		err = client_ask(client, ask_offsets, list, timeout_ms);
		if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
			client_raise(client, err, "find offsets of");
		for (int i = 0; i < n; i++)
			positions[i].offset = list->elems[i].offset;
	}
	PG_FINALLY();
	{
		rd_kafka_topic_partition_list_destroy(list);
	}
	PG_END_TRY();
}

KafkaRange *
consumer_ranges(KafkaConsumer *consumer, int *n, int timeout_ms)
{
	KafkaRange *ranges = fetch_partitions(consumer, n, timeout_ms);
	KafkaPosition *positions = palloc(*n * sizeof(KafkaPosition));

	for (int i = 0; i < *n; i++)
		positions[i].partition = ranges[i].partition;
	fetch_offsets(consumer, positions, *n, RD_KAFKA_OFFSET_BEGINNING, timeout_ms);
	for (int i = 0; i < *n; i++)
		ranges[i].low = positions[i].offset;
	fetch_offsets(consumer, positions, *n, RD_KAFKA_OFFSET_END, timeout_ms);
	for (int i = 0; i < *n; i++)
		ranges[i].high = positions[i].offset;
	pfree(positions);
	return ranges;
}

void
consumer_offsets_for_time(KafkaConsumer *consumer, KafkaPosition *positions, int n,
						  int64 timestamp_ms, int timeout_ms)
{
	KafkaPosition *ends = palloc(Max(n, 1) * sizeof(KafkaPosition));

	/* ends first: a record that arrives in between must not be skipped */
	memcpy(ends, positions, n * sizeof(KafkaPosition));
	fetch_offsets(consumer, ends, n, RD_KAFKA_OFFSET_END, timeout_ms);
	fetch_offsets(consumer, positions, n, Max(timestamp_ms, 0), timeout_ms);
	for (int i = 0; i < n; i++)
	{
		if (positions[i].offset < 0)	/* no record as young */
			positions[i].offset = ends[i].offset;
	}
	pfree(ends);
}
