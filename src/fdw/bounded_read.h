/*
 * bounded_read.h
 *		Reading given ranges of a topic's partitions, and no further.
 */
#ifndef DELTAFLOW_FDW_BOUNDED_READ_H
#define DELTAFLOW_FDW_BOUNDED_READ_H

#include "kafka/consumer.h"

typedef struct ReadRange
{
	int32		partition;
	int64		from;			/* first offset wanted */
	int64		upto;			/* one behind the last wanted; not behind the log's end */
	int64		next;			/* everything before has been handed out */
	bool		done;
} ReadRange;

typedef struct BoundedRead BoundedRead;

/*
 * A reader in CurrentMemoryContext; with that context, or with bounded_read_close,
 * its batch goes.  The consumer stays the caller's.  topic: its name, for messages.
 */
extern BoundedRead *bounded_read_open(KafkaConsumer *consumer, const char *topic);

/* Begins with these ranges (copied), rising by partition; again for a rescan. */
extern void bounded_read_start(BoundedRead *read, const ReadRange *ranges, int n);

/*
 * The next record, rising per partition, valid until the next call; NULL when all
 * ranges are read.  Waits for the broker, obeying cancel; ERROR when it stays
 * away longer than deltaflow.broker_timeout, or when records are not there any more.
 */
extern const KafkaRecord *bounded_read_next(BoundedRead *read);

/*
 * The next one of those already fetched, or NULL.  What was handed out since the
 * last bounded_read_next() stays valid.
 */
extern const KafkaRecord *bounded_read_at_hand(BoundedRead *read);

extern void bounded_read_close(BoundedRead *read);

/* deltaflow.broker_timeout, ms: how long a statement waits for the broker without getting anything. */
extern int	broker_timeout;

#endif							/* DELTAFLOW_FDW_BOUNDED_READ_H */
