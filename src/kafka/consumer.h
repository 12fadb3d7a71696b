/*
 * consumer.h
 *		Reading one topic's partitions from given offsets.
 *
 * The consumer never owns a position: whoever assigns it says where to start,
 * and stores where it got to.  All calls are made by the backend's main thread;
 * none of them blocks but those that take a timeout.
 */
#ifndef DELTAFLOW_KAFKA_CONSUMER_H
#define DELTAFLOW_KAFKA_CONSUMER_H

#include "kafka/record.h"

/* A librdkafka option by its own name, already checked against option_policy.h. */
typedef struct KafkaOption
{
	char	   *name;
	char	   *value;
} KafkaOption;

typedef struct KafkaConsumer KafkaConsumer;

typedef struct KafkaPosition
{
	int32		partition;
	int64		offset;			/* the next one wanted */
} KafkaPosition;

typedef enum KafkaFaultKind
{
	KAFKA_NO_FAULT,
	KAFKA_BROKER_AWAY,			/* transient: the library reconnects by itself */
	KAFKA_OFFSET_LOST,			/* the wanted offset is not in the log (any more) */
	KAFKA_TOPIC_MISSING,		/* topic or partition does not exist */
	KAFKA_REFUSED,				/* authentication, authorization, configuration */
	KAFKA_BROKEN				/* anything else the client cannot recover from */
} KafkaFaultKind;

typedef struct KafkaFault
{
	KafkaFaultKind kind;
	int32		partition;		/* -1: not of one partition */
	char		message[256];
} KafkaFault;

/*
 * Opens a consumer of the topic, with no partition assigned.  Threads of the
 * library are created with all signals blocked.  Raises ERROR when the options
 * are refused.  The handle is closed by consumer_close, or at backend exit.
 */
extern KafkaConsumer *consumer_open(const char *topic, const KafkaOption *options, int noptions);
extern void consumer_close(KafkaConsumer *consumer);

/* Replaces the assignment. */
extern void consumer_assign(KafkaConsumer *consumer, const KafkaPosition *positions, int n);

/*
 * Appends up to max records that are there now to the batch, and the ends of
 * partitions reached behind them; does not wait.  Returns the number of records
 * taken.  A fault met on the way is kept for consumer_fault().
 */
extern int	consumer_poll(KafkaConsumer *consumer, KafkaBatch *batch, int max);

/* The last fault since the last call, or one of kind KAFKA_NO_FAULT. */
extern KafkaFault consumer_fault(KafkaConsumer *consumer);

/*
 * A file descriptor that becomes readable when there is something to poll;
 * consumer_drain_wakeup() must be called after a wake-up and before polling.
 */
extern int	consumer_wakeup_fd(KafkaConsumer *consumer);
extern void consumer_drain_wakeup(KafkaConsumer *consumer);

/* Low and high watermark offsets as the last fetch told them; false when not known yet. */
extern bool consumer_cached_range(KafkaConsumer *consumer, int32 partition, int64 *low, int64 *high);

/*
 * Questions to the broker.  They wait up to timeout_ms in short steps that obey
 * query cancel, and raise ERROR on failure.  Not for the hot loop.
 */
typedef struct KafkaRange
{
	int32		partition;
	int64		low;			/* first offset in the log */
	int64		high;			/* one behind the last (stable) record */
} KafkaRange;

/* All partitions of the topic, rising; palloc'd array.  ERROR when the topic does not exist. */
extern KafkaRange *consumer_ranges(KafkaConsumer *consumer, int *n, int timeout_ms);

/* For each position's partition: the first offset with timestamp >= timestamp_ms (high when none), written into offset. */
extern void consumer_offsets_for_time(KafkaConsumer *consumer, KafkaPosition *positions, int n,
									  int64 timestamp_ms, int timeout_ms);

/* Version text of the library in use, for status and logs. */
extern const char *kafka_library_version(void);

#endif							/* DELTAFLOW_KAFKA_CONSUMER_H */
