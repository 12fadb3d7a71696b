/*
 * scan.h
 *		The state of a scan of a topic, as EXPLAIN reads it.
 */
#ifndef DELTAFLOW_FDW_SCAN_H
#define DELTAFLOW_FDW_SCAN_H

#include "fdw/pushdown.h"
#include "fdw/row_reader.h"
#include "fdw/scan_bounds.h"

typedef struct TopicScan
{
	/* identity */
	Topic	   *topic;
	Pushdown   *pushdown;
	ExprContext *econtext;		/* for values of the pushdown */
	bool		engine;			/* within bounds the engine set: records left out are known already */

	/* fixed at the first row; NULL before */
	KafkaConsumer *consumer;
	KafkaRange *log;			/* the partitions as they were then */
	int			npartitions;
	const ScanBounds *bounds;

	/* of this round, that is, until a rescan */
	bool		begun;
	BoundedRead *read;
	ReadRange  *ranges;			/* by partition as in log */
	bool		stale;			/* parameters changed: the ranges are no longer right */

	RowReader  *rows;
	MemoryContext scan_context; /* all of the above */
	MemoryContext value_context;	/* values of the conditions in this round */

	/* statistics, over all rounds */
	int64		records;
	int64		undecodable;
} TopicScan;

#endif							/* DELTAFLOW_FDW_SCAN_H */
