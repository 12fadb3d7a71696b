/*
 * bounds.h
 *		Limits that the engine itself sets on the next scans of a topic.
 *
 * A batch answer at an epoch must read the topic exactly up to the pipeline's
 * positions, not up to today's end offsets.
 */
#ifndef DELTAFLOW_FDW_BOUNDS_H
#define DELTAFLOW_FDW_BOUNDS_H

#include "nodes/bitmapset.h"

#include "kafka/position_set.h"

/*
 * Until scan_bounds_clear(), scans of this topic in this backend read, per
 * partition, from `from` (NULL: the topic's start) up to but not including
 * `upto`; partitions not named in upto are not read.  ERROR in a scan when
 * the topic does not hold all of that any more.  Cleared at transaction end.
 */
extern void scan_bounds_set(Oid topic_relid, const KafkaPosition *from, int nfrom,
							const KafkaPosition *upto, int nupto);
extern void scan_bounds_clear(void);

/*
 * With bounds set: columns that those scans decode even if their query does not
 * need them: what a view's definition reads decides which records are its rows.
 */
extern void scan_bounds_columns(Oid topic_relid, const Bitmapset *columns);

/* With bounds set: records that those scans leave out.  Copied. */
extern void scan_bounds_without(Oid topic_relid, const PositionSet *records);

#endif							/* DELTAFLOW_FDW_BOUNDS_H */
