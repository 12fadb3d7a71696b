/*
 * pane.h
 *		Tumbling, hopping and cumulative windows, and the panes they are made of.
 *
 *		hop       windows [origin + k*step, origin + k*step + size) for every k
 *		cumulate  cycles of `size` from the origin on; windows from a cycle's begin to
 *				  each of its steps
 *		tumbling  hop with step = size
 *
 * Panes are equal pieces of time that no window begins or ends within: all times of a
 * pane have the same windows, so state can be kept per pane.  Windows are half-open.  One that would begin before the calendar begins at -infinity, one that
 * would end after it ends at infinity.  An infinite time is a pane and a window of its
 * own, [time, time].
 */
#ifndef DELTAFLOW_WINDOW_PANE_H
#define DELTAFLOW_WINDOW_PANE_H

#include "datatype/timestamp.h"

#include "window/refusal.h"

#define MAX_WINDOWS_PER_ROW 1000

typedef enum WindowShapeKind
{
	SHAPE_HOP,
	SHAPE_CUMULATE
} WindowShapeKind;

/* All windows of a definition. */
typedef struct WindowShape
{
	WindowShapeKind kind;
	int64		step;			/* hop: from start to start; cumulate: from end to end */
	int64		size;			/* of a window; of the longest one */
	int64		period;			/* after which everything repeats: hop: step; cumulate: size */
	int64		phase;			/* the origin, modulo the period */
	int64		pane;			/* hop: gcd(step, size); cumulate: step */
} WindowShape;

typedef struct WindowBounds
{
	int64		start;
	int64		end;
} WindowBounds;

/* Goes through the windows of one time. */
typedef struct WindowCursor
{
	int64		time;
	int64		behind;			/* the window begins so long before the time */
	int64		ahead;			/* and ends so long after it */
	int64		change;			/* of `behind`, from one window to the next */
	int64		step;			/* of `ahead` */
	int			left;			/* windows still to come */
} WindowCursor;

/* Goes through the windows of many panes, each window once. */
typedef struct WindowStream
{
	const WindowShape *shape;
	WindowCursor cursor;
	WindowBounds last;
	bool		any;
} WindowStream;

/* Makes the shape, or says why there is none. */
extern WindowRefusal window_shape_make(WindowShapeKind kind, const Interval *step, const Interval *size,
									   int64 origin, WindowShape *shape);

/* The most windows a time can have. */
extern int	window_shape_count(const WindowShape *shape);

/* How many it has on average; below 1 where windows have pauses between them. */
extern double window_shape_average(const WindowShape *shape);

/*
 * The pane of a time, named by its first time: its begin, or the calendar's.  Anything
 * below that takes a time takes a pane's name as well.
 */
extern int64 pane_of(const WindowShape *shape, int64 time);

/* The windows of a time or pane, by rising start and end. */
extern void window_cursor_begin(WindowCursor *cursor, const WindowShape *shape, int64 time);
extern bool window_cursor_next(WindowCursor *cursor, WindowBounds *window);

/* The names of the panes in a window, both included. */
extern void window_panes(WindowBounds window, int64 *first, int64 *last);

/*
 * The windows that panes given in rising order imply: for each pane, those that no
 * pane before it had.  They come by rising start and end.
 */
extern void window_stream_begin(WindowStream *stream, const WindowShape *shape);
extern void window_stream_pane(WindowStream *stream, int64 pane);
extern bool window_stream_next(WindowStream *stream, WindowBounds *window);

#endif							/* DELTAFLOW_WINDOW_PANE_H */
