/*
 * explain_time.c
 *		What deltaflow.explain says about time: the watermark now, who holds it, which
 *		window closes next, and how long windows stay.
 *
 * The next window to close is computed, not looked up: it is the first that ends
 * behind watermark - lateness, whether it has rows or not.  All of it is said in the
 * view's own time zone.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/topic.h"
#include "view/explain_time.h"
#include "view/options.h"
#include "view/window_key.h"
#include "window/lateness.h"

/* The time on the view's own scale as text. */
static char *
time_text(const ViewSpec *spec, Timestamp time)
{
	if (spec->window.time_type == TIMESTAMPOID)
		return DatumGetCString(DirectFunctionCall1(timestamp_out, TimestampGetDatum(time)));
	return pstrdup(timestamptz_to_str(time));
}

/* Result column of the only row, NULL for none. */
static char *
only_value(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

/* The watermark, and the partitions that it waits for. */
static char *
watermark_line(const PipelineRow *pipeline)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *text;
	char	   *held;

	if (TIMESTAMP_IS_NOEND(pipeline->watermark))
		return pstrdup("  Watermark: infinity: the input is over, every window is final");
	SPI_connect();
	if (SPI_execute(psprintf("SELECT max(watermark_delay),"
							 " string_agg(partition::text, ', ' ORDER BY partition) FILTER (WHERE holds)"
							 " FROM deltaflow.watermarks WHERE name = %s", quote_literal_cstr(pipeline->name)),
					true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read deltaflow.watermarks");
	MemoryContextSwitchTo(caller);
	held = only_value(2);
	held = held != NULL ? psprintf("; held by partition %s", held) : "";
	if (TIMESTAMP_IS_NOBEGIN(pipeline->watermark))
		text = psprintf("  Watermark: none yet%s", held);
	else
		text = psprintf("  Watermark: %s, %s behind the greatest event time%s",
						timestamptz_to_str(pipeline->watermark), only_value(1), held);
	SPI_finish();
	return text;
}

/* The first window that ends behind the watermark. */
static char *
next_line(const ViewRow *row, const ViewSpec *spec, TimestampTz watermark)
{
	int64		lateness = lateness_length(row->lateness);
	WindowBounds next;

	if (TIMESTAMP_NOT_FINITE(watermark) ||
		!window_ending_after(spec, time_plus(watermark, -lateness), &next))
		return NULL;
	return psprintf("  Next to close: [%s, %s), at watermark %s", time_text(spec, next.start), time_text(spec, next.end),
					time_text(spec, lateness_limit(next.end, lateness)));
}

/* How long windows stay. */
static char *
retain_line(const ViewRow *row, const ViewSpec *spec)
{
	ViewSettings settings = view_options_parse(row->options);
	Interval	retain = {0};
	bool		sessions = spec->window.kind == WINDOW_SESSION;

	if (settings.retain == VIEW_RETAIN_ALL)
		return NULL;
	retain.time = settings.retain;
	return psprintf("  Retained: %s after the end of the %s%s",
					DatumGetCString(DirectFunctionCall1(interval_out,
														DirectFunctionCall1(interval_justify_hours, IntervalPGetDatum(&retain)))),
					sessions ? "session" : "window",
					TIMESTAMP_IS_NOBEGIN(row->horizon) ? "" :
					psprintf(sessions ? "; sessions that end by %s are removed" : "; windows that begin before %s are removed",
							 time_text(spec, row->horizon)));
}

/* A line more, unless it is NULL. */
static List *
add_line(List *lines, char *line)
{
	return line == NULL ? lines : lappend(lines, line);
}

List *
explain_time(const ViewRow *row, const ViewSpec *spec, const PipelineRow *pipeline)
{
	Identity	before;
	List	   *lines = NIL;

	if (row->lateness == NULL || spec->window.kind == WINDOW_NONE)
		return NIL;
	before = identity_become(GetUserId(), row->pinned);
	lines = add_line(lines, watermark_line(pipeline));
	if (spec->window.kind != WINDOW_SESSION)
		lines = add_line(lines, next_line(row, spec, pipeline->watermark));
	lines = add_line(lines, retain_line(row, spec));
	identity_restore(before);
	return lines;
}
