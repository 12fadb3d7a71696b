/*
 * bars.c
 *		Drawing numbers with characters: a line of heights, or one bar.
 *
 * The block elements of Unicode divide a character's cell in eight, upward (a
 * sparkline) and to the right (a bar).  Where they cannot be shown, ASCII stands in,
 * with less resolution.
 *
 * Values may be anything a double precision can be: infinite ones lie at the ends of
 * the scale, NaN is a gap.
 */
#include "postgres.h"

#include <math.h>

#include "stats/bars.h"

const Brush brush_blocks = {
	.heights = {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"},
	.full = "\u2588",
	.parts = {"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"},
};

const Brush brush_ascii = {
	.heights = {"_", ".", "-", "~", "=", "+", "*", "#"},
	.full = "#",
	.parts = {"", "", "", "", "#", "#", "#", "#"},
};

/* Where the value lies from low (0) to high (1).  Halved, so that no difference is infinite. */
static double
position(double value, double low, double high)
{
	double		span = high / 2 - low / 2;

	if (value <= low)
		return 0;
	if (value >= high)
		return 1;
	return (value / 2 - low / 2) / span;
}

void
sparkline_scale(const double *values, int n, double *low, double *high)
{
	*low = *high = 0;
	for (int i = 0; i < n; i++)
		if (isfinite(values[i]))
		{
			*low = Min(*low, values[i]);
			*high = Max(*high, values[i]);
		}
}

void
draw_sparkline(StringInfo out, const Brush *brush, const double *values, int n, double low, double high)
{
	for (int i = 0; i < n; i++)
	{
		int			height = isnan(values[i]) ? -1 : (int) (position(values[i], low, high) * 8);

		appendStringInfoString(out, height < 0 ? " " : brush->heights[Min(height, 7)]);
	}
}

void
draw_bar(StringInfo out, const Brush *brush, double value, double greatest, int width)
{
	int			eighths;

	if (isnan(value) || isnan(greatest))
		return;
	eighths = (int) rint(position(value, 0, greatest) * 8 * width);
	for (int i = 0; i < eighths / 8; i++)
		appendStringInfoString(out, brush->full);
	appendStringInfoString(out, brush->parts[eighths % 8]);
}
