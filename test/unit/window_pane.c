/*
 * window_pane.c
 *		Hopping and cumulative windows against their definition: a window
 *		[origin + k*slide, origin + k*slide + size) has the times that lie in it.
 *
 * LINK: src/window/pane.c src/window/span.c src/window/refusal.c
 */
#include "tap.h"			/* first: the server's headers redefine printf */

#include "postgres.h"

#include "window/pane.h"
#include "window_random.h"

#define CASES	100000
#define ROOM	(MAX_WINDOWS_PER_ROW + 8)
#define TIMES	6

/* Windows in a row. */
typedef struct Windows
{
	int			n;
	WindowBounds window[TIMES * ROOM];
} Windows;

/* A definition as the model knows it. */
typedef struct Model
{
	WindowShapeKind kind;
	int64		step;
	int64		size;
	int64		origin;
	WindowShape shape;
} Model;

static int	failures = 0;

/* Tells of a case that went wrong; only of the first few. */
static bool
check(bool condition, const Model *model, int64 time, const char *what)
{
	if (!condition && failures++ < 5)
		printf("# %s: kind %d step %lld size %lld origin %lld time %lld\n", what, model->kind,
			   (long long) model->step, (long long) model->size, (long long) model->origin, (long long) time);
	return condition;
}

/* Adds a window, unless it is the last one again. */
static void
add(Windows *windows, wide start, wide end)
{
	WindowBounds window = {cut(start), cut(end)};
	const WindowBounds *last = &windows->window[windows->n - 1];

	if (windows->n > 0 && window.start == last->start && window.end == last->end)
		return;
	windows->window[windows->n++] = window;
}

/* The definition: each window near the time, asked whether it has it. */
static void
windows_by_definition(const Model *model, int64 time, Windows *windows)
{
	wide		period = model->kind == SHAPE_HOP ? model->step : model->size;
	wide		from = ((wide) time - model->origin - model->size) / period - 2;
	wide		upto = ((wide) time - model->origin) / period + 2;

	windows->n = 0;
	if (TIMESTAMP_NOT_FINITE(time))
	{
		windows->window[windows->n++] = (WindowBounds) {time, time};
		return;
	}
	for (wide k = from; k <= upto; k++)
	{
		wide		start = model->origin + k * period;
		wide		shortest = model->kind == SHAPE_HOP ? model->size : model->step;

		if (start > time || time >= start + model->size)
			continue;
		for (wide length = shortest; length <= model->size; length += model->step)
			if (time < start + length)
				add(windows, start, start + length);
	}
}

/* The same from the code under test. */
static void
windows_by_cursor(const Model *model, int64 time, Windows *windows)
{
	WindowCursor cursor;

	windows->n = 0;
	window_cursor_begin(&cursor, &model->shape, time);
	while (windows->n < ROOM && window_cursor_next(&cursor, &windows->window[windows->n]))
		windows->n++;
}

static bool
same_windows(const Windows *one, const Windows *other)
{
	return one->n == other->n &&
		memcmp(one->window, other->window, one->n * sizeof(WindowBounds)) == 0;
}

/* A random definition. */
static Model
random_model(void)
{
	Model		model;
	int64		most = random_between(0, 500) ? 8 : MAX_WINDOWS_PER_ROW;
	Interval	step;
	Interval	size;

	for (;;)
	{
		int64		count = random_between(1, most);

		model.kind = random_between(0, 1) ? SHAPE_HOP : SHAPE_CUMULATE;
		model.step = random_between(0, 3) ? random_length() : random_between(1, 20) * (random_between(0, 1) ? 1 : USECS_PER_MINUTE);
		if (model.step > PG_INT64_MAX / count)
			continue;
		model.size = model.step * count;
		if (model.kind == SHAPE_HOP && random_between(0, 1))
			model.size -= random_between(0, model.step - 1);
		model.origin = random_between(0, 1) ? 0 : random_finite_time();
		step = as_interval(model.step);
		size = as_interval(model.size);
		if (check(window_shape_make(model.kind, &step, &size, model.origin, &model.shape).code == WINDOW_ACCEPTED,
				  &model, 0, "not accepted"))
			return model;
	}
}

/* A time, often at the edge of a window, or a microsecond beside it. */
static int64
time_for(const Model *model)
{
	wide		edge;

	if (random_between(0, 1))
		return random_time();
	edge = model->origin + (wide) model->step * random_between(-20, 20) + random_between(-1, 1);
	if (random_between(0, 1))
		edge += model->size;
	return TIMESTAMP_NOT_FINITE(cut(edge)) ? random_time() : (int64) edge;
}

/* A time's windows and pane. */
static void
try_time(const Model *model, int64 time)
{
	static Windows expected;
	static Windows found;
	static Windows of_pane;
	int64		pane = pane_of(&model->shape, time);

	windows_by_definition(model, time, &expected);
	windows_by_cursor(model, time, &found);
	windows_by_cursor(model, pane, &of_pane);
	check(same_windows(&expected, &found), model, time, "windows of a time");
	check(same_windows(&expected, &of_pane), model, time, "windows of its pane");
	check(found.n <= window_shape_count(&model->shape), model, time, "number of windows");
	check(pane <= time && (TIMESTAMP_NOT_FINITE(time) ? pane == time :
						   time - (wide) pane < model->shape.pane), model, time, "the pane has the time");
	check(TIMESTAMP_NOT_FINITE(pane) || pane == MIN_TIMESTAMP ||
		  ((wide) pane - model->origin) % model->shape.pane == 0, model, time, "the pane begins on the grid");
}

/* A window has the panes of exactly the times that have the window. */
static void
try_panes(const Model *model, int64 time, int64 other)
{
	static Windows windows;
	static Windows of_other;
	int64		pane = pane_of(&model->shape, other);

	windows_by_cursor(model, time, &windows);
	windows_by_definition(model, other, &of_other);
	for (int i = 0; i < windows.n; i++)
	{
		int64		first;
		int64		last;
		bool		has = false;

		for (int j = 0; j < of_other.n; j++)
			has |= memcmp(&windows.window[i], &of_other.window[j], sizeof(WindowBounds)) == 0;
		window_panes(windows.window[i], &first, &last);
		if (!check((first <= pane && pane <= last) == has, model, other, "panes of a window"))
			return;
	}
}

static int
compare_windows(const void *a, const void *b)
{
	const WindowBounds *left = a;
	const WindowBounds *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return (left->end > right->end) - (left->end < right->end);
}

static int
compare_times(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return (left > right) - (left < right);
}

/* Panes in order give each of their windows once, in order. */
static void
try_stream(const Model *model, int64 *times)
{
	static Windows expected;
	static Windows found;
	static Windows one;
	WindowStream stream;
	int			distinct = 0;

	expected.n = found.n = 0;
	for (int i = 0; i < TIMES; i++)
	{
		windows_by_definition(model, times[i], &one);
		for (int j = 0; j < one.n; j++)
			expected.window[expected.n++] = one.window[j];
	}
	qsort(expected.window, expected.n, sizeof(WindowBounds), compare_windows);
	for (int i = 0; i < expected.n; i++)
		if (i == 0 || compare_windows(&expected.window[i], &expected.window[distinct - 1]) != 0)
			expected.window[distinct++] = expected.window[i];
	expected.n = distinct;

	qsort(times, TIMES, sizeof(int64), compare_times);
	window_stream_begin(&stream, &model->shape);
	for (int i = 0; i < TIMES; i++)
	{
		window_stream_pane(&stream, pane_of(&model->shape, times[i]));
		while (window_stream_next(&stream, &found.window[found.n]))
			found.n++;
	}
	check(same_windows(&expected, &found), model, times[0], "windows of panes");
	for (int i = 1; i < found.n; i++)
		check(found.window[i - 1].end <= found.window[i].end, model, times[0], "ends rise");
}

static void
try_random(void)
{
	for (int i = 0; i < CASES; i++)
	{
		Model		model = random_model();
		int64		times[TIMES];

		for (int t = 0; t < TIMES; t++)
			times[t] = time_for(&model);
		try_time(&model, times[0]);
		try_panes(&model, times[0], times[1]);
		if (i % 4 == 0)
			try_stream(&model, times);
	}
	ok(failures == 0, "%d random definitions and times: windows, panes and streams are those of the definition", CASES);
}

/* The code with which a shape is refused. */
static WindowRefusalCode
refused(WindowShapeKind kind, Interval step, Interval size, int64 origin)
{
	WindowShape shape;
	WindowRefusal refusal = window_shape_make(kind, &step, &size, origin, &shape);

	return window_refusal_text(refusal.code)->message != NULL ? refusal.code : -1;
}

static void
refusals(void)
{
	Interval	minute = {.time = USECS_PER_MINUTE};
	Interval	day = {.day = 1};
	Interval	month = {.month = 1};
	Interval	days = {.day = PG_INT32_MAX};
	Interval	nothing = {.day = 1, .time = -USECS_PER_DAY};
	Interval	backward = {.day = PG_INT32_MIN};
	Interval	forever = {.month = PG_INT32_MAX, .day = PG_INT32_MAX, .time = PG_INT64_MAX};
	Interval	seven = {.time = 7 * USECS_PER_MINUTE};
	Interval	longest = {.time = 1000 * USECS_PER_MINUTE};
	Interval	too_long = {.time = 1000 * USECS_PER_MINUTE + 1};

	ok(refused(SHAPE_HOP, month, day, 0) == WINDOW_HAS_MONTHS, "months");
	ok(refused(SHAPE_HOP, day, month, 0) == WINDOW_HAS_MONTHS, "months of the size");
	ok(refused(SHAPE_HOP, forever, day, 0) == WINDOW_IS_INFINITE, "infinite");
	ok(refused(SHAPE_HOP, nothing, day, 0) == WINDOW_NOT_POSITIVE, "nothing");
	ok(refused(SHAPE_HOP, backward, day, 0) == WINDOW_NOT_POSITIVE, "backward");
	ok(refused(SHAPE_HOP, day, days, 0) == WINDOW_TOO_LONG, "longer than 64 bits");
	ok(refused(SHAPE_HOP, minute, longest, 0) == WINDOW_ACCEPTED, "the most windows");
	ok(refused(SHAPE_HOP, minute, too_long, 0) == WINDOW_TOO_MANY, "and one more");
	ok(refused(SHAPE_CUMULATE, seven, day, 0) == WINDOW_NO_MULTIPLE, "no multiple");
	ok(refused(SHAPE_HOP, minute, seven, DT_NOEND) == WINDOW_BAD_ORIGIN, "infinite origin");
	ok(refused(SHAPE_HOP, day, minute, 0) == WINDOW_ACCEPTED, "windows with pauses between them");
}

int
main(void)
{
	random_begin();
	try_random();
	refusals();
	return done_testing();
}
