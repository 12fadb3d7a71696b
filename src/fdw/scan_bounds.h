/*
 * scan_bounds.h
 *		What scans see of the limits set through bounds.h.
 */
#ifndef DELTAFLOW_FDW_SCAN_BOUNDS_H
#define DELTAFLOW_FDW_SCAN_BOUNDS_H

#include "fdw/bounds.h"
#include "fdw/range.h"

typedef struct ScanBounds
{
	struct ScanBounds *next;
	Oid			relid;
	SubTransactionId subxact;	/* that set them */
	KafkaPosition *from;		/* NULL: the topic's start */
	int			nfrom;
	KafkaPosition *upto;
	int			nupto;
	Bitmapset  *columns;		/* to be decoded in any case */
	PositionSet without;		/* records left out */
} ScanBounds;

/* The limits for a topic, NULL when there are none. */
extern ScanBounds *scan_bounds_find(Oid topic_relid);

/* The offsets of one partition within the limits; empty when it is not to be read. */
extern Region scan_bounds_region(const ScanBounds *bounds, int32 partition);

#endif							/* DELTAFLOW_FDW_SCAN_BOUNDS_H */
