/*
 * producer.c
 *		Writing records to a topic, acknowledged.
 *
 * In: records.  Out: nothing, or ERROR when one was refused.  The library sends
 * in the background; its delivery reports come through the event queue and are
 * counted here:
 *
 *	  producer_send --> queued --> broker --> delivery report --> acknowledged
 *													   \--> first refusal kept
 *
 * Invariant: queued = acknowledged + refused + in flight; producer_flush() returns
 * only with nothing in flight and nothing refused.  Idempotence is on and every
 * in-sync replica must acknowledge, so a retry of the library neither doubles nor
 * reorders; a statement that fails may still have produced some of its records.
 *
 * Main thread only; waits obey query cancel.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "kafka/client.h"
#include "kafka/producer.h"
#include "worker/wait.h"

/* Serve delivery reports at least every so many records, or the event queue grows. */
#define SERVE_EVERY		1000

/* Longest nap while waiting; the eventfd ends it early. */
#define NAP_MS			1000

struct KafkaProducer
{
	KafkaClient client;			/* first: client_open() makes it all */
	uint64		queued;
	uint64		acknowledged;
	uint64		refused;
	rd_kafka_resp_err_t first_error;	/* of the first refusal */
	int32		first_partition;
};

/* Before the handle goes: what is still queued shall not keep it waiting. */
static void
producer_before_close(void *arg)
{
	KafkaProducer *producer = arg;

	if (producer->client.handle != NULL)
		rd_kafka_purge(producer->client.handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

KafkaProducer *
producer_open(const char *topic, const KafkaOption *options, int noptions)
{
	KafkaProducer *producer = (KafkaProducer *)
		client_open(RD_KAFKA_PRODUCER, sizeof(KafkaProducer), topic, options, noptions);

	producer->client.before_close = producer_before_close;
	producer->client.before_close_arg = producer;
	(void) client_topic(&producer->client);
	return producer;
}

void
producer_close(KafkaProducer *producer)
{
	client_close(&producer->client);
}

/* Counts the delivery reports of an event. */
static void
take_reports(void *arg, rd_kafka_event_t *event)
{
	KafkaProducer *producer = arg;
	const rd_kafka_message_t *message;

	if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_DR)
		return;
	while ((message = rd_kafka_event_message_next(event)) != NULL)
	{
		if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			producer->acknowledged++;
			continue;
		}
		if (producer->refused++ == 0)
		{
			producer->first_error = message->err;
			producer->first_partition = message->partition;
		}
	}
}

/* Serves what has come back, and raises ERROR when a record was refused. */
static void
serve_reports(KafkaProducer *producer)
{
	client_serve(&producer->client, take_reports, producer);
	if (producer->refused > 0)
		client_raise(&producer->client, producer->first_error, "produce to");
	for (int i = 0; i < producer->client.nfaults; i++)
	{
		/* a client that is broken, or not let in, would keep us waiting until the time-out */
		if (producer->client.faults[i].kind == KAFKA_BROKEN)
			client_raise(&producer->client, RD_KAFKA_RESP_ERR__FATAL, "produce to");
		if (producer->client.faults[i].kind == KAFKA_REFUSED)
			client_raise(&producer->client, RD_KAFKA_RESP_ERR__AUTHENTICATION, "produce to");
	}
}

/* Naps until the library has something to tell. */
static void
wait_for_reports(KafkaProducer *producer)
{
	wait_for(producer->client.wakeup_fd, NAP_MS, WAIT_FOR_BROKER);
	CHECK_FOR_INTERRUPTS();
	client_drain_wakeup(&producer->client);
	serve_reports(producer);
}

/* Headers in the library's form; it takes them over when the record is queued. */
static rd_kafka_headers_t *
make_headers(const KafkaHeader *headers, int nheaders)
{
	rd_kafka_headers_t *list;

	if (nheaders == 0)
		return NULL;
	list = rd_kafka_headers_new(nheaders);
	for (int i = 0; i < nheaders; i++)
		rd_kafka_header_add(list, headers[i].name, -1, headers[i].value,
							headers[i].value != NULL ? (ssize_t) headers[i].value_len : 0);
	return list;
}

/* Queues a record once; on failure nothing is taken over. */
static rd_kafka_resp_err_t
queue_record(KafkaProducer *producer, int32 partition,
			 const char *key, size_t key_len, const char *value, size_t value_len,
			 const KafkaHeader *headers, int nheaders)
{
	rd_kafka_headers_t *list = make_headers(headers, nheaders);
	rd_kafka_vu_t vus[6];
	int			n = 0;
	rd_kafka_error_t *error;
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	vus[n].vtype = RD_KAFKA_VTYPE_RKT;
	vus[n++].u.rkt = producer->client.topic_handle;
	vus[n].vtype = RD_KAFKA_VTYPE_PARTITION;
	vus[n++].u.i32 = partition < 0 ? RD_KAFKA_PARTITION_UA : partition;
	vus[n].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
	vus[n++].u.i = RD_KAFKA_MSG_F_COPY;
	vus[n].vtype = RD_KAFKA_VTYPE_VALUE;
	vus[n].u.mem.ptr = (void *) value;
	vus[n++].u.mem.size = value_len;
	vus[n].vtype = RD_KAFKA_VTYPE_KEY;
	vus[n].u.mem.ptr = (void *) key;
	vus[n++].u.mem.size = key_len;
	if (list != NULL)
	{
		vus[n].vtype = RD_KAFKA_VTYPE_HEADERS;
		vus[n++].u.headers = list;
	}
	error = rd_kafka_produceva(producer->client.handle, vus, n);
	if (error != NULL)
	{
		err = rd_kafka_error_code(error);
		rd_kafka_error_destroy(error);
		if (list != NULL)
			rd_kafka_headers_destroy(list);
	}
	return err;
}

void
producer_send(KafkaProducer *producer, int32 partition,
			  const char *key, size_t key_len,
			  const char *value, size_t value_len,
			  const KafkaHeader *headers, int nheaders)
{
	rd_kafka_resp_err_t err;

	while ((err = queue_record(producer, partition, key, key_len, value, value_len,
							   headers, nheaders)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		wait_for_reports(producer);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		client_raise(&producer->client, err, "produce to");
	producer->queued++;
	if (producer->queued % SERVE_EVERY == 0)
	{
		CHECK_FOR_INTERRUPTS();
		serve_reports(producer);
	}
}

void
producer_flush(KafkaProducer *producer)
{
	serve_reports(producer);
	while (producer->acknowledged + producer->refused < producer->queued)
		wait_for_reports(producer);
}
