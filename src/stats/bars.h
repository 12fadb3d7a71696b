/*
 * bars.h
 *		Numbers as text that draws itself.
 */
#ifndef DELTAFLOW_STATS_BARS_H
#define DELTAFLOW_STATS_BARS_H

#include "lib/stringinfo.h"

#define BAR_WIDTH_MAX 1000

/* What there is to draw with: the block elements of Unicode, or ASCII. */
typedef struct Brush
{
	const char *heights[8];		/* from the lowest to the full one */
	const char *full;			/* a full cell of a bar */
	const char *parts[8];		/* its last cell, by eighths; [0]: nothing */
} Brush;

extern const Brush brush_blocks;
extern const Brush brush_ascii;

/* A character for each value, by where it lies from low to high; a space for NaN. */
extern void draw_sparkline(StringInfo out, const Brush *brush, const double *values, int n, double low, double high);

/* The scale of values: 0 and the greatest, or the least when that is negative. */
extern void sparkline_scale(const double *values, int n, double *low, double *high);

/* A bar of as many cells as value has of greatest's width. */
extern void draw_bar(StringInfo out, const Brush *brush, double value, double greatest, int width);

#endif							/* DELTAFLOW_STATS_BARS_H */
