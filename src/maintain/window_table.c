/*
 * window_table.c
 *		Stored groups of a view by the start of their window.
 *
 * The start is the first column of the state table's index, so a walk by it costs one
 * descent and what it meets, whatever else the table holds.  A start of NULL is of no
 * window: it is never met.  Sessions are walked in the same way, by their first time
 * (session_expire.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "maintain/window_table.h"

/* start <operator of the strategy> bound, and not NULL. */
void
time_walk_begin(TimeWalk *walk, const StateTableParts *parts, Relation index, Oid type, AttrNumber column,
				StrategyNumber strategy, TimestampTz bound)
{
	Oid			family = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	ScanKeyData keys[2];

	walk->relation = parts->relation;
	walk->snapshot = parts->snapshot;
	walk->column = column;
	walk->slot = table_slot_create(parts->relation, NULL);
	ScanKeyEntryInitialize(&keys[0], SK_ISNULL | SK_SEARCHNOTNULL, 1, InvalidStrategy, InvalidOid,
						   InvalidOid, InvalidOid, (Datum) 0);
	ScanKeyEntryInitialize(&keys[1], 0, 1, strategy, InvalidOid, InvalidOid,
						   get_opcode(get_opfamily_member(family, type, type, strategy)), TimestampTzGetDatum(bound));
	walk->scan = index_beginscan(parts->relation, index, parts->snapshot, NULL, 2, 0);
	index_rescan(walk->scan, keys, 2, NULL, 0);
}

bool
time_walk_next(TimeWalk *walk, ScanDirection direction, TimestampTz *time)
{
	bool		isnull;

	if (!index_getnext_slot(walk->scan, direction, walk->slot))
		return false;
	*time = DatumGetTimestampTz(slot_getattr(walk->slot, walk->column, &isnull));
	return true;
}

void
time_walk_remove(TimeWalk *walk)
{
	simple_table_tuple_delete(walk->relation, &walk->slot->tts_tid, walk->snapshot);
}

void
time_walk_end(TimeWalk *walk)
{
	index_endscan(walk->scan);
	ExecDropSingleTupleTableSlot(walk->slot);
}

/* A walk by the start of windows, along the index of the keys. */
static void
begin_walk(TimeWalk *walk, StateTable *table, const ViewSpec *spec, StrategyNumber strategy, TimestampTz bound)
{
	StateTableParts parts = state_table_parts(table);

	time_walk_begin(walk, &parts, parts.index, spec->window.time_type, spec->keys[0].column.attnum, strategy, bound);
}

bool
window_table_below(StateTable *table, const ViewSpec *spec, TimestampTz bound, bool at_bound, TimestampTz *start)
{
	TimeWalk	walk;
	bool		found;

	begin_walk(&walk, table, spec, at_bound ? BTLessEqualStrategyNumber : BTLessStrategyNumber, bound);
	found = time_walk_next(&walk, BackwardScanDirection, start);
	time_walk_end(&walk);
	return found;
}

int64
window_table_remove(StateTable *table, const ViewSpec *spec, TimestampTz from, int64 max_rows,
					WindowExpired expired, void *arg, TimestampTz *start)
{
	TimeWalk	walk;
	TimestampTz at;
	int64		n = 0;

	begin_walk(&walk, table, spec, BTGreaterEqualStrategyNumber, from);
	while (n < max_rows && time_walk_next(&walk, ForwardScanDirection, &at) && expired(arg, at))
	{
		time_walk_remove(&walk);
		*start = at;
		n++;
	}
	time_walk_end(&walk);
	return n;
}
