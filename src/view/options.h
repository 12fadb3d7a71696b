/*
 * options.h
 *		The options of one continuous view, as create_view(options => '{...}') takes them.
 */
#ifndef DELTAFLOW_VIEW_OPTIONS_H
#define DELTAFLOW_VIEW_OPTIONS_H

#include "datatype/timestamp.h"

#define VIEW_RETAIN_ALL	(-1)

typedef struct ViewSettings
{
	int64		retain;			/* microseconds that windows stay after their end, by the watermark */
	int64		max_open_windows;	/* caps; 0: none */
	int64		max_groups;
	int64		max_state_bytes;
} ViewSettings;

/* jsonb text to options; ERROR for names and values that are none. */
extern ViewSettings view_options_parse(const char *json);

/* What a user may not give: the view's own notes are left out. */
extern void view_options_check(const char *json);

/* Whether both mean the same. */
extern bool view_options_equal(const char *one, const char *other);

#endif							/* DELTAFLOW_VIEW_OPTIONS_H */
