/*
 * batch.h
 *		What the consumer does to a batch; private to kafka/.
 */
#ifndef DELTAFLOW_KAFKA_BATCH_H
#define DELTAFLOW_KAFKA_BATCH_H

#include "kafka/record.h"

extern void batch_reserve(KafkaBatch *batch, int n);
extern void batch_add_end(KafkaBatch *batch, int32 partition, int64 next_offset);
extern void batch_abandon(KafkaBatch *batch);

#endif							/* DELTAFLOW_KAFKA_BATCH_H */
