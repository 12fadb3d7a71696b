/*
 * caps.c
 *		What a view may keep: a limit on runaway definitions and event times.
 *
 * A unit mistaken in an event time makes a window of each row, a key that should have
 * been rounded makes a group of each row.  Such a view fails with the reason, and the
 * pipeline goes on without it.  In come the groups that an epoch adds; the answer is
 * an ERROR at the end of the epoch's write, before anything is committed.
 *
 *	 open windows	starts of windows that are not closed, in a hash: counted from the
 *					newest stored one down when the view is opened, then kept by what
 *					is added; those closed are taken out when there seem to be too many
 *	 open sessions	those of a key that are not final, looked at when it gets one more
 *					(session_fold.c): each key has windows of its own
 *	 groups			the server's estimate of rows when they are first counted, then what is
 *					added and removed
 *	 bytes			blocks of the state table and its index
 *
 * All of it is in memory only, and forgotten with the cache after an error.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "maintain/live_view_state.h"
#include "maintain/window_table.h"
#include "window/lateness.h"

typedef struct OpenWindow
{
	TimestampTz start;
	TimestampTz limit;			/* closed once this <= watermark */
	char		status;
} OpenWindow;

#define SH_PREFIX			windows
#define SH_ELEMENT_TYPE		OpenWindow
#define SH_KEY_TYPE			TimestampTz
#define SH_KEY				start
#define SH_HASH_KEY(tb, key)	((uint32) (((uint64) (key) * UINT64CONST(0x9e3779b97f4a7c15)) >> 32))
#define SH_EQUAL(tb, a, b)	((a) == (b))
#define SH_SCOPE			static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define INITIAL_WINDOWS	64

void
live_view_set_caps(LiveView *view, const ViewCaps *caps, TimestampTz watermark)
{
	view->caps = *caps;
	view->closed_by = Min(watermark, DT_NOEND - 1);
}

/* Nothing is known of the table any more. */
void
caps_forget(LiveView *view)
{
	view->stored_groups = -1;
	if (view->open_windows != NULL)
		windows_destroy(view->open_windows);
	view->open_windows = NULL;
	view->removed_to = DT_NOBEGIN;
	view->walked = false;
	view->passed_last = DT_NOEND;
	view->crowded = false;
}

/* ---- open windows ---- */

/* Whether windows are counted: those of a view in which none closes are not open, but history. */
bool
caps_count_windows(const LiveView *view)
{
	return view->caps.open_windows > 0 && view->windowed && window_limits_has_lateness(view->limits);
}

/* Counts a window unless it is closed; false when it is. */
static bool
add_window(LiveView *view, TimestampTz start)
{
	TimestampTz limit = window_limits_add_lateness(view->limits, live_view_last_end(view, start));
	bool		found;

	if (lateness_reached(limit, view->closed_by))
		return false;
	windows_insert(view->open_windows, start, &found)->limit = limit;
	return true;
}

/* Counts stored windows, from the newest down to the first that is closed. */
static void
count_stored(LiveView *view)
{
	TimestampTz start = DT_NOEND;
	bool		first = true;	/* the window at infinity counts, once */

	view->open_windows = windows_create(view->context, INITIAL_WINDOWS, NULL);
	while (view->open_windows->members <= view->caps.open_windows &&
		   window_table_below(live_view_table(view), view->spec, start, first, &start) &&
		   add_window(view, start))
	{
		CHECK_FOR_INTERRUPTS();
		first = false;
	}
}

/* Takes out windows that have closed meanwhile. */
static void
drop_closed(LiveView *view)
{
	windows_iterator iterator;
	OpenWindow *window;

	windows_start_iterate(view->open_windows, &iterator);
	while ((window = windows_iterate(view->open_windows, &iterator)) != NULL)
		if (lateness_reached(window->limit, view->closed_by))
			windows_delete_item(view->open_windows, window);
}

/* ---- what an epoch adds ---- */

void
caps_added(LiveView *view, FoldGroup **groups, int64 n)
{
	if (view->stored_groups >= 0)
		view->stored_groups += n;
	if (!caps_count_windows(view) || view->sessions != NULL)
		return;
	if (view->open_windows == NULL)
		count_stored(view);
	for (int64 i = 0; i < n; i++)
		if (!group_nulls(view->keys, groups[i])[0])
			(void) add_window(view, groups[i]->order);
}

/* ---- checks ---- */

/* The step that allows ten times as much. */
static char *
allow_more(const LiveView *view, const char *option, int64 cap)
{
	Oid			relid = view->spec->view_relid;
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));

	name = quote_literal_cstr(name);
	return psprintf("To allow more: SELECT deltaflow.set_view_options(%s, '{\"%s\": " INT64_FORMAT "}'), deltaflow.resume(%s).",
					name, option, cap < PG_INT64_MAX / 10 ? cap * 10 : PG_INT64_MAX, name);
}

/* More are open than the cap allows. */
static void
refuse_open(LiveView *view, const char *what, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("view has more than " INT64_FORMAT " open %s", view->caps.open_windows, what),
			 errdetail("The watermark is too far behind the newest rows, %sor event times are wrong.", why),
			 errhint("SELECT * FROM deltaflow.watermarks shows what holds the watermark. %s",
					 allow_more(view, "max_open_windows", view->caps.open_windows))));
}

/* Sessions are counted where they are made. */
static void
check_sessions(LiveView *view)
{
	if (view->crowded)
		refuse_open(view, "sessions of one key", "the gap is too short, ");
}

static void
check_windows(LiveView *view)
{
	if (!caps_count_windows(view))
		return;
	if (view->open_windows == NULL)
		count_stored(view);
	if (view->open_windows->members > view->caps.open_windows)
		drop_closed(view);
	if (view->open_windows->members > view->caps.open_windows)
		refuse_open(view, "windows", "");
}

/* About how many rows a page has: by the server's statistics, or as the middle one. */
static double
rows_per_page(Relation relation, BlockNumber blocks)
{
	Buffer		buffer;
	double		rows;

	if (relation->rd_rel->reltuples > 0 && relation->rd_rel->relpages > 0)
		return relation->rd_rel->reltuples / relation->rd_rel->relpages;
	buffer = ReadBuffer(relation, blocks / 2);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	rows = PageGetMaxOffsetNumber(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return rows;
}

static void
estimate_groups(LiveView *view, Relation relation)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(relation);

	view->stored_groups = blocks == 0 ? 0 : blocks * rows_per_page(relation, blocks);
}

static void
check_groups(LiveView *view, Relation relation)
{
	if (view->caps.groups <= 0)
		return;
	if (view->stored_groups < 0)
		estimate_groups(view, relation);
	if (view->stored_groups > view->caps.groups)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("view has more than " INT64_FORMAT " groups", view->caps.groups),
				 errhint("Group by less, or let old windows go (option retain). %s",
						 allow_more(view, "max_groups", view->caps.groups))));
}

static void
check_bytes(LiveView *view, const StateTableParts *parts)
{
	int64		blocks = RelationGetNumberOfBlocks(parts->relation);

	if (parts->index != NULL)
		blocks += RelationGetNumberOfBlocks(parts->index);
	if (view->caps.state_bytes <= 0 || blocks * BLCKSZ <= view->caps.state_bytes)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("state of the view takes more than " INT64_FORMAT " bytes", view->caps.state_bytes),
			 errhint("Group by less, or let old windows go (option retain). %s",
					 allow_more(view, "max_state_bytes", view->caps.state_bytes))));
}

void
caps_check(LiveView *view)
{
	StateTableParts parts = state_table_parts(live_view_table(view));

	if (view->sessions != NULL)
		check_sessions(view);
	else
		check_windows(view);
	check_groups(view, parts.relation);
	check_bytes(view, &parts);
}
