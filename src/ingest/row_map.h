/*
 * row_map.h
 *		A topic's row to the target's: columns by name, assignment casts, defaults, filter.
 */
#ifndef DELTAFLOW_INGEST_ROW_MAP_H
#define DELTAFLOW_INGEST_ROW_MAP_H

#include "executor/tuptable.h"
#include "nodes/bitmapset.h"
#include "utils/relcache.h"

#include "fdw/topic.h"

typedef struct RowMap RowMap;

/*
 * Compiles the map in CurrentMemoryContext.  ERROR when a column's type cannot be
 * assigned, or a NOT NULL column would stay empty.  filter may be NULL.
 */
extern RowMap *row_map_create(const Topic *topic, Relation target, const char *filter);

/* Columns of the topic that map and filter read, by attribute number. */
extern Bitmapset *row_map_columns(const RowMap *map);

/* Functions and domains that it is compiled of, PlanInvalItem: when one changes, the map is void. */
extern const List *row_map_parts(const RowMap *map);

/* Whether a default of the target runs a function that might look at the table. */
extern bool row_map_volatile(const RowMap *map);

/* Where to decode the next record to, and what filter and apply read. */
extern TupleTableSlot *row_map_source(const RowMap *map);

extern bool row_map_wanted(RowMap *map);	/* the filter's verdict */
extern void row_map_apply(RowMap *map, Datum *values, bool *isnull);

#endif							/* DELTAFLOW_INGEST_ROW_MAP_H */
