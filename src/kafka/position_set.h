/*
 * position_set.h
 *		Places of records, to look others up in.
 */
#ifndef DELTAFLOW_KAFKA_POSITION_SET_H
#define DELTAFLOW_KAFKA_POSITION_SET_H

#include "kafka/consumer.h"

/* In rising order of partition and offset. */
typedef struct PositionSet
{
	int64		n;
	KafkaPosition *positions;
} PositionSet;

/* Is a record's place among them? */
static inline bool
position_set_has(const PositionSet *set, int32 partition, int64 offset)
{
	int64		low = 0;
	int64		high = set->n;

	while (low < high)
	{
		int64		middle = (low + high) / 2;
		const KafkaPosition *at = &set->positions[middle];

		if (at->partition == partition && at->offset == offset)
			return true;
		if (at->partition < partition || (at->partition == partition && at->offset < offset))
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

#endif							/* DELTAFLOW_KAFKA_POSITION_SET_H */
