/*
 * record.h
 *		One Kafka message as the rest of deltaflow sees it, and batches of them.
 *
 * Memory: key, value and headers point into the client library's buffers and
 * live until the batch is released.
 */
#ifndef DELTAFLOW_KAFKA_RECORD_H
#define DELTAFLOW_KAFKA_RECORD_H

#include "lib/ilist.h"
#include "utils/palloc.h"

#include "common/int.h"
#include "datatype/timestamp.h"

typedef struct KafkaRecord
{
	int32		partition;
	int64		offset;
	const char *key;			/* NULL: no key */
	size_t		key_len;
	const char *value;			/* NULL: tombstone */
	size_t		value_len;
	int64		timestamp_ms;	/* broker's or producer's, -1 when none */
	bool		broker_time;	/* the broker's: when it was appended to the log */
	void	   *message;		/* the library's own, for record_headers() */
} KafkaRecord;

typedef struct KafkaHeader
{
	const char *name;
	const char *value;			/* NULL: null header */
	size_t		value_len;
} KafkaHeader;

/* The end of a partition was reached: the next fetch would be at this offset,
 * behind control records and compacted gaps. */
typedef struct KafkaEnd
{
	int32		partition;
	int64		next_offset;
	int			after;			/* how many records of the batch were polled before it */
} KafkaEnd;

/*
 * Records kept from poll until the epoch that took them is over, so that a
 * failed epoch can be tried again.
 */
typedef struct KafkaBatch
{
	KafkaRecord *records;		/* in the order polled: rising offsets per partition */
	int			nrecords;
	int			capacity;
	KafkaEnd   *ends;			/* at most one per partition, the latest; rising "after" */
	int			nends;
	int			ends_capacity;
	size_t		bytes;			/* payload held */

	/* private to kafka/ */
	MemoryContext context;		/* holds the batch and its arrays */
	dlist_head *owner;			/* batches of the consumer that filled it, NULL when empty-handed */
	dlist_node	node;			/* in owner */
} KafkaBatch;

/*
 * In CurrentMemoryContext; grows.  The payload is given back when that context
 * is reset, and when the consumer that filled the batch is closed (the batch is
 * then empty).
 */
extern KafkaBatch *batch_create(int capacity);

/*
 * Frees the first n records with their payload and the ends reached by then;
 * those behind move to the front.
 */
extern void batch_release(KafkaBatch *batch, int n);

/* Frees everything, the batch too. */
extern void batch_destroy(KafkaBatch *batch);

/* Up to max headers of a record, in order, duplicates kept; returns how many there are. */
extern int	record_headers(const KafkaRecord *record, KafkaHeader *headers, int max);

/* The record's timestamp; false when it has none or one that no timestamptz can hold. */
static inline bool
record_time(const KafkaRecord *record, TimestampTz *time)
{
	int64		microseconds;

	if (record->timestamp_ms < 0 || pg_mul_s64_overflow(record->timestamp_ms, 1000, &microseconds))
		return false;
	*time = microseconds - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	return IS_VALID_TIMESTAMP(*time);
}

#endif							/* DELTAFLOW_KAFKA_RECORD_H */
