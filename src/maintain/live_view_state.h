/*
 * live_view_state.h
 *		What live_view.c, live_view_write.c and live_view_fill.c share.
 */
#ifndef DELTAFLOW_MAINTAIN_LIVE_VIEW_STATE_H
#define DELTAFLOW_MAINTAIN_LIVE_VIEW_STATE_H

#include "maintain/group_cache.h"
#include "maintain/live_view.h"
#include "maintain/row_input.h"
#include "maintain/state_table.h"
#include "maintain/window_limit.h"

struct LiveView
{
	/* identity and parts, fixed once open */
	const ViewSpec *spec;
	MemoryContext context;
	MemoryContext epoch_context;
	size_t		cache_bytes;
	bool		windowed;
	GroupKeys  *keys;
	Aggregates *aggregates;
	GroupCache *cache;
	RowInput   *input;
	WindowLimits *limits;		/* NULL: no windows */

	/* what is known of the state table */
	Oid			storage;		/* InvalidOid: nothing */
	int64		forgotten;		/* with windows: no group of a later one is stored but not cached */
	bool		some_forgotten; /* without: some group may be */

	/* the epoch */
	int64		epoch;
	TimestampTz watermark;		/* of the last fold */
	StateTable *table;			/* NULL: not open */

	/* the batch being folded */
	FoldResult *result;
	char	   *fate;
	int			fate_capacity;
	LateRow    *late;
	int			late_capacity;
	int			row;			/* the row being worked on */
	bool		stepping;		/* then chunk.at says it */

	/* the chunk being folded */
	FoldChunk	chunk;
	Datum	   *key_values;
	bool	   *key_nulls;
	uint32		hashes[FOLD_CHUNK_ROWS];
};

extern StateTable *live_view_table(LiveView *view);
extern void live_view_release_table(LiveView *view);
extern void live_view_begin_epoch(LiveView *view);
extern void live_view_load_group(LiveView *view, FoldGroup *group);

#endif							/* DELTAFLOW_MAINTAIN_LIVE_VIEW_STATE_H */
