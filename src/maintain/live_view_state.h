/*
 * live_view_state.h
 *		What live_view.c, live_view_write.c and live_view_fill.c share.
 */
#ifndef DELTAFLOW_MAINTAIN_LIVE_VIEW_STATE_H
#define DELTAFLOW_MAINTAIN_LIVE_VIEW_STATE_H

#include "maintain/group_cache.h"
#include "maintain/live_view.h"
#include "maintain/row_input.h"
#include "maintain/session_table.h"
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
	bool		panes;			/* of windows that overlap: keys[1] is open_from */
	GroupKeys  *keys;
	Aggregates *aggregates;
	GroupCache *cache;
	RowInput   *input;
	WindowLimits *limits;		/* NULL: no windows */
	SessionCache *sessions;		/* in the place of the group cache; NULL: the view has no sessions */
	GroupKeys  *partition;		/* of sessions: PARTITION BY, that is keys without the first time */

	/* what is known of the state table */
	Oid			storage;		/* InvalidOid: nothing */
	int64		forgotten;		/* with windows: no group of a later one is stored but not cached */
	bool		some_forgotten; /* without: some group may be */

	/* what it may keep, and keeps: caps.c, expire.c */
	ViewCaps	caps;
	TimestampTz closed_by;		/* the watermark that says which windows are open */
	double		stored_groups;	/* -1: not estimated yet */
	struct windows_hash *open_windows;	/* NULL: not counted yet */
	TimestampTz removed_to;		/* groups of older windows than this are removed; DT_NOBEGIN: not known */
	bool		walked;			/* of sessions: those that began before it were looked at, */
	TimestampTz passed_last;	/* and this is the least last time of those left */
	bool		crowded;		/* some key has more open sessions than the cap */

	/* the epoch */
	int64		epoch;
	TimestampTz watermark;		/* of the last fold */
	StateTable *table;			/* NULL: not open */
	SessionTable *session_table;	/* NULL: nothing was looked for */

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

extern Size live_view_cache_bytes(const LiveView *view);
extern StateTable *live_view_table(LiveView *view);
extern void live_view_release_table(LiveView *view);
extern void live_view_begin_epoch(LiveView *view);
extern void live_view_load_group(LiveView *view, FoldGroup *group);

extern void live_view_step(LiveView *view);
extern LateRow *live_view_add_late(LiveView *view, int row);

/* live_view_write.c */
extern void live_view_store_group(LiveView *view, FoldGroup *group, Datum *values, bool *isnull);
extern void live_view_write_groups(LiveView *view, FoldGroup **groups, int64 n, StoreGroup store);
extern FoldGroup **live_view_select(FoldGroup **groups, int64 n, uint16 flags, bool have, int64 *nselected);
extern void live_view_sort_by_tid(FoldGroup **groups, int64 n);

/* caps.c: what is kept, counted */
extern void caps_forget(LiveView *view);
extern void caps_added(LiveView *view, FoldGroup **groups, int64 n);
extern void caps_check(LiveView *view);
extern bool caps_count_windows(const LiveView *view);

/* expire.c: when the last window that a group is part of ends */
extern TimestampTz live_view_last_end(LiveView *view, TimestampTz start);

/* session_fold.c, session_write.c */
extern void session_view_open(LiveView *view);
extern void session_view_learn(LiveView *view, StateTable *table);
extern void session_view_find(LiveView *view, const RowBatch *rows);
extern int64 session_view_write(LiveView *view);
extern void session_view_shrink(LiveView *view);

/* session_expire.c: as live_view_expire(), in the epoch's context */
extern bool session_view_expire(LiveView *view, TimestampTz watermark, const Interval *lateness, int64 retain, int64 max_rows,
								TimestampTz *horizon);

#endif							/* DELTAFLOW_MAINTAIN_LIVE_VIEW_STATE_H */
