/*
 * live_view.h
 *		One continuous view at run time: rows in, state table out.
 *
 * Within an epoch's transaction: fold any number of row batches, then write once.
 * Between epochs only the group cache remains, and it is never needed: after any
 * error the caller discards it and the next epoch begins cold.
 *
 * The caller holds the pipeline's lock, is the state table's only writer, and has
 * switched to the view owner's identity.
 */
#ifndef DELTAFLOW_MAINTAIN_LIVE_VIEW_H
#define DELTAFLOW_MAINTAIN_LIVE_VIEW_H

#include "datatype/timestamp.h"

#include "ingest/row_batch.h"
#include "utils/queryenvironment.h"
#include "view/view_spec.h"

typedef struct LiveView LiveView;

/* A row that came too late for its window, or for one of its windows. */
typedef struct LateRow
{
	int			row;			/* in the batch */
	Datum		event_time;		/* of window.time_type */
	TimestampTz window_start;	/* timestamp without zone is given as is */
	TimestampTz window_end;
	bool		left_out;		/* late for all its windows */
} LateRow;

/* What became of a batch's rows. */
typedef struct FoldResult
{
	int			applied;
	int			filtered;		/* WHERE was not true */
	int			nlate;			/* windows that overlap: one for each window of a row */
	LateRow    *late;			/* valid until the next call */
	char	   *fate;			/* per row of the batch: 'a', 'f', (for all its windows) 'l', or 'n' for none of this view's; valid until the next call */
} FoldResult;

/*
 * Prepares to keep the view: compiles expressions, opens nothing.  cache_bytes
 * bounds the group cache.  Lives in a child of CurrentMemoryContext.
 */
extern LiveView *live_view_open(const ViewSpec *spec, size_t cache_bytes);
extern void live_view_close(LiveView *view);

/*
 * Folds the rows.  A row whose window has end + lateness <= watermark is late
 * and touches nothing; watermark DT_NOBEGIN: nothing is late.
 */
extern void live_view_fold(LiveView *view, const RowBatch *rows,
						   TimestampTz watermark, const Interval *lateness,
						   FoldResult *result);

/* The row that live_view_fold was at when it threw, -1 outside. */
extern int	live_view_current_row(const LiveView *view);

/* Loads what is stored of the groups touched, combines, writes.  Returns groups written. */
extern int64 live_view_write(LiveView *view);

/*
 * Caps on what a view may keep; 0: none.  live_view_write raises an ERROR
 * (program_limit_exceeded) when one is exceeded, before anything is committed.  Set
 * them for each epoch: the watermark tells which windows are open.
 */
typedef struct ViewCaps
{
	int64		open_windows;	/* not closed yet, of views whose windows close; of any one key's sessions */
	int64		groups;			/* rows of the state table, by the server's estimate and what was added since */
	int64		state_bytes;	/* state table and its index */
} ViewCaps;

extern void live_view_set_caps(LiveView *view, const ViewCaps *caps, TimestampTz watermark);

/*
 * Removes stored groups of windows whose end + retain <= watermark, the oldest first,
 * at most max_rows; the groups must be late for all rows (sessions wait until they are
 * final).  After live_view_write, and not while old rows are being folded.  False: there
 * may be more.  When anything was removed, *horizon becomes the border at and behind
 * which windows begin that are still complete; sessions are that end behind it.
 */
extern bool live_view_expire(LiveView *view, TimestampTz watermark, const Interval *lateness, int64 retain, int64 max_rows,
							 TimestampTz *horizon);

/* Forgets everything folded and cached: after an abort, or when somebody else wrote the state. */
extern void live_view_discard(LiveView *view);

/*
 * Folds all rows of a scan of the source (a table, a partition of it, a topic) that
 * satisfy `range` (Expr over varno 1, NULL: all) into fresh groups and writes them:
 * filling a new view, recompute.  The stored groups it touches must be gone.
 * Returns rows read.
 */
extern int64 live_view_fill(LiveView *view, Oid source_relid, Expr *range);

/* The same of a query that gives the source's columns that the view reads, in their order; environment: relations it may name. */
extern int64 live_view_fill_query(LiveView *view, const char *sql, QueryEnvironment *environment);

#endif							/* DELTAFLOW_MAINTAIN_LIVE_VIEW_H */
