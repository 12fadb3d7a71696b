/*
 * pane.c
 *		Which windows a time has, and which panes a window.
 *
 * Everything follows from the distance of a time to the last border before it, by a
 * division that rounds down, so times before the origin and before 2000 need no case
 * of their own:
 *
 *		hop			   start          time            end
 *		  window k		 |-- behind ---|--- ahead -----|       behind + ahead = size
 *		  window k+1		 |-------------------------------|  begins `step` later
 *
 *		cumulate	 cycle          time  ends
 *						 |-- behind ---|---|---|---|---|       one per step
 *
 * No time or origin is ever subtracted from another, only lengths below `size` are
 * added to and taken from the time, with saturation: nothing overflows, wherever in
 * the calendar the time lies.
 *
 * Distinct windows stay distinct when they are cut at the calendar's ends: windows of
 * a hop have different starts where their ends are infinity, and different ends where
 * their starts are -infinity (a window that is cut on both sides would be longer than
 * 64 bits).  Cumulative windows of one cycle that all end at infinity are one window.
 */
#include "postgres.h"

#include "window/pane.h"
#include "window/span.h"

/* Greatest common divisor of two positive lengths. */
static int64
common_divisor(int64 a, int64 b)
{
	while (b != 0)
	{
		int64		rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Whether step and size go together. */
static WindowRefusal
check_shape(const WindowShape *shape)
{
	WindowRefusal refusal = {WINDOW_ACCEPTED, "size"};
	int64		count = shape->size / shape->step + (shape->size % shape->step != 0);

	if (shape->kind == SHAPE_CUMULATE && shape->size % shape->step != 0)
		refusal.code = WINDOW_NO_MULTIPLE;
	else if (count > MAX_WINDOWS_PER_ROW)
		refusal.code = WINDOW_TOO_MANY;
	return refusal;
}

WindowRefusal
window_shape_make(WindowShapeKind kind, const Interval *step, const Interval *size,
				  int64 origin, WindowShape *shape)
{
	WindowRefusal refusal;

	shape->kind = kind;
	refusal = window_length(step, kind == SHAPE_HOP ? "slide" : "step", &shape->step);
	if (refusal.code == WINDOW_ACCEPTED)
		refusal = window_length(size, "size", &shape->size);
	if (refusal.code == WINDOW_ACCEPTED)
		refusal = check_shape(shape);
	if (refusal.code == WINDOW_ACCEPTED && TIMESTAMP_NOT_FINITE(origin))
		refusal = (WindowRefusal) {WINDOW_BAD_ORIGIN, "origin"};
	if (refusal.code != WINDOW_ACCEPTED)
		return refusal;

	shape->period = kind == SHAPE_HOP ? shape->step : shape->size;
	shape->pane = kind == SHAPE_HOP ? common_divisor(shape->step, shape->size) : shape->step;
	shape->phase = floor_rest(origin, shape->period);
	return refusal;
}

int
window_shape_count(const WindowShape *shape)
{
	return (int) (shape->size / shape->step + (shape->size % shape->step != 0));
}

double
window_shape_average(const WindowShape *shape)
{
	double		count = (double) shape->size / shape->step;

	return shape->kind == SHAPE_HOP ? count : (count + 1) / 2;
}

/* How long before the time the last border of a grid lies; phase < width. */
static int64
since_border(int64 time, int64 width, int64 phase)
{
	int64		since = floor_rest(time, width) - phase;

	return since < 0 ? since + width : since;
}

int64
pane_of(const WindowShape *shape, int64 time)
{
	int64		begin;

	if (TIMESTAMP_NOT_FINITE(time))
		return time;
	begin = time_plus(time, -since_border(time, shape->pane, shape->phase % shape->pane));
	return TIMESTAMP_IS_NOBEGIN(begin) ? MIN_TIMESTAMP : begin;
}

/* From the window that began first to the one that began last before the time. */
static void
begin_hop(WindowCursor *cursor, const WindowShape *shape, int64 since)
{
	cursor->left = since < shape->size ? (int) ((shape->size - 1 - since) / shape->step) + 1 : 0;
	if (cursor->left == 0)
		return;
	cursor->behind = since + (cursor->left - 1) * shape->step;
	cursor->ahead = shape->size - cursor->behind;
	cursor->change = -shape->step;
}

/* From the next step of the cycle to its last. */
static void
begin_cumulate(WindowCursor *cursor, const WindowShape *shape, int64 since)
{
	cursor->left = (int) ((shape->size - since - 1) / shape->step) + 1;
	cursor->behind = since;
	cursor->ahead = shape->size - since - (cursor->left - 1) * shape->step;
	cursor->change = 0;
}

void
window_cursor_begin(WindowCursor *cursor, const WindowShape *shape, int64 time)
{
	cursor->time = time;
	cursor->step = shape->step;
	if (TIMESTAMP_NOT_FINITE(time))
	{
		cursor->left = 1;
		cursor->behind = cursor->ahead = cursor->change = 0;
	}
	else if (shape->kind == SHAPE_HOP)
		begin_hop(cursor, shape, since_border(time, shape->period, shape->phase));
	else
		begin_cumulate(cursor, shape, since_border(time, shape->period, shape->phase));
}

bool
window_cursor_next(WindowCursor *cursor, WindowBounds *window)
{
	if (cursor->left == 0)
		return false;
	window->start = time_plus(cursor->time, -cursor->behind);
	window->end = time_plus(cursor->time, cursor->ahead);
	if (--cursor->left > 0)
	{
		cursor->behind += cursor->change;
		cursor->ahead += cursor->step;
		if (TIMESTAMP_IS_NOEND(window->end) && cursor->change == 0)
			cursor->left = 0;
	}
	return true;
}

void
window_panes(WindowBounds window, int64 *first, int64 *last)
{
	if (TIMESTAMP_NOT_FINITE(window.start) && window.start == window.end)
	{
		*first = *last = window.start;
		return;
	}
	*first = TIMESTAMP_IS_NOBEGIN(window.start) ? MIN_TIMESTAMP : window.start;
	*last = (TIMESTAMP_IS_NOEND(window.end) ? END_TIMESTAMP : window.end) - 1;
}

void
window_stream_begin(WindowStream *stream, const WindowShape *shape)
{
	memset(stream, 0, sizeof(WindowStream));
	stream->shape = shape;
}

void
window_stream_pane(WindowStream *stream, int64 pane)
{
	window_cursor_begin(&stream->cursor, stream->shape, pane);
}

/* By start, then by end: so both rise. */
static bool
is_after(WindowBounds window, WindowBounds last)
{
	return window.start > last.start || (window.start == last.start && window.end > last.end);
}

/*
 * A window that comes not after the last one was given already: it holds this pane and
 * begins not after the last pane's last window, so it holds that pane as well.
 */
bool
window_stream_next(WindowStream *stream, WindowBounds *window)
{
	while (window_cursor_next(&stream->cursor, window))
	{
		if (stream->any && !is_after(*window, stream->last))
			continue;
		stream->last = *window;
		stream->any = true;
		return true;
	}
	return false;
}
