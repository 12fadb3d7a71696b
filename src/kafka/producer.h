/*
 * producer.h
 *		Writing records to a topic, acknowledged.
 *
 * Used by INSERT into a topic (and, later, sinks).  At least once: a statement
 * that fails after some records were acknowledged has produced those.
 */
#ifndef DELTAFLOW_KAFKA_PRODUCER_H
#define DELTAFLOW_KAFKA_PRODUCER_H

#include "kafka/consumer.h"

typedef struct KafkaProducer KafkaProducer;

extern KafkaProducer *producer_open(const char *topic, const KafkaOption *options, int noptions);

/* Copies and queues a record; partition -1 lets the partitioner choose.  Waits, obeying cancel, when the queue is full. */
extern void producer_send(KafkaProducer *producer, int32 partition,
						  const char *key, size_t key_len,
						  const char *value, size_t value_len,
						  const KafkaHeader *headers, int nheaders);

/* Returns when every record queued is acknowledged; ERROR when one was refused. */
extern void producer_flush(KafkaProducer *producer);
extern void producer_close(KafkaProducer *producer);

#endif							/* DELTAFLOW_KAFKA_PRODUCER_H */
