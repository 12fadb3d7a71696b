/*
 * scan.h
 *		The state of a scan of a topic, as EXPLAIN reads it.
 */
#ifndef DELTAFLOW_FDW_SCAN_H
#define DELTAFLOW_FDW_SCAN_H

#include "fdw/bounded_read.h"
#include "fdw/pushdown.h"
#include "fdw/scan_bounds.h"
#include "format/format.h"

typedef struct TopicScan
{
	/* identity */
	Topic	   *topic;
	Pushdown   *pushdown;
	ExprContext *econtext;		/* for values of the pushdown */
	bool		guarded;		/* decoding may throw: see scan.c */
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

	/* decoding */
	Decoder    *decoder;
	MemoryContext scan_context; /* all of the above */
	MemoryContext row_context;	/* values of the current row */
	const KafkaRecord *record;	/* for the error context */

	/* statistics, over all rounds */
	int64		records;
	int64		undecodable;
} TopicScan;

#endif							/* DELTAFLOW_FDW_SCAN_H */
