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

/*
 * What is wrong.  The library goes on trying by itself after the first, the third
 * and the fourth; a partition whose offset is lost or that is broken delivers
 * nothing more until it is assigned again.
 */
typedef enum KafkaFaultKind
{
	KAFKA_NO_FAULT,
	KAFKA_BROKER_AWAY,			/* no broker can be reached now */
	KAFKA_OFFSET_LOST,			/* the wanted offset is not in the log (any more) */
	KAFKA_TOPIC_MISSING,		/* topic or partition does not exist */
	KAFKA_REFUSED,				/* authentication, authorization, configuration */
	KAFKA_BROKEN				/* anything else: damaged data, unexpected answers */
} KafkaFaultKind;

typedef struct KafkaFault
{
	KafkaFaultKind kind;
	int32		partition;		/* -1: not of one partition */
	char		message[512];
} KafkaFault;

/*
 * Opens a consumer of the topic, with no partition assigned.  Threads of the
 * library are created with all signals blocked.  Raises ERROR when the options
 * are refused.  It lives in CurrentMemoryContext: closed by consumer_close, when
 * that context is reset, or at process exit, whichever comes first.
 */
extern KafkaConsumer *consumer_open(const char *topic, const KafkaOption *options, int noptions);
extern void consumer_close(KafkaConsumer *consumer);

/*
 * The same, for reading about npartitions partitions at the pace of the slowest: what
 * consumer_poll() gives is taken from the partition furthest behind by timestamps, as
 * far as it has anything to give.
 */
extern KafkaConsumer *consumer_open_aligned(const char *topic, const KafkaOption *options, int noptions,
											int npartitions);

/* Replaces the assignment. */
extern void consumer_assign(KafkaConsumer *consumer, const KafkaPosition *positions, int n);

/*
 * Appends up to max records that are there now to the batch, and the ends of
 * partitions reached behind them; does not wait.  Returns the number of records
 * taken.  A fault met on the way is kept for consumer_fault().
 */
extern int	consumer_poll(KafkaConsumer *consumer, KafkaBatch *batch, int max);

/*
 * The next fault kept, oldest first, or one of kind KAFKA_NO_FAULT.  Each kind
 * is kept once per partition until it was asked for.
 */
extern KafkaFault consumer_fault(KafkaConsumer *consumer);

/*
 * A file descriptor that becomes readable when there is something to poll;
 * consumer_drain_wakeup() must be called after a wake-up and before polling.
 * One wake-up is sent per lull: poll until nothing comes before waiting again.
 */
extern int	consumer_wakeup_fd(KafkaConsumer *consumer);
extern void consumer_drain_wakeup(KafkaConsumer *consumer);

/*
 * First offset in the log and the one behind its last record, as the last fetch of
 * an assigned partition told them; false when not known yet.  The end may lie in an
 * open transaction: only an end reached (KafkaEnd) or consumer_ranges() is stable.
 */
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

/*
 * How many clients of this process did not stop in time and were left behind.  Each
 * keeps an idle thread that wakes a thousand times a second: a worker that finds
 * any should end, to be started again, when it has nothing better to do.
 */
extern int	kafka_clients_left_behind(void);

/* The settings of this folder; from _PG_init. */
extern void kafka_init_settings(void);

/* How the client is set against stalls with that version, for the log at start. */
extern const char *kafka_fetch_tuning(void);

#endif							/* DELTAFLOW_KAFKA_CONSUMER_H */
