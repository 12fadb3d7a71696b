/*
 * window_table.c
 *		Stored groups of a view by the start of their window.
 *
 * The start is the first column of the state table's index, so a walk by it costs one
 * descent and what it meets, whatever else the table holds.  A start of NULL is of no
 * window: it is never met.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "maintain/window_table.h"

/* A walk along the index. */
typedef struct Walk
{
	StateTableParts parts;
	AttrNumber	column;			/* of the start */
	IndexScanDesc scan;
	TupleTableSlot *slot;
} Walk;

/* start <operator of the strategy> bound, and not NULL. */
static void
begin_walk(Walk *walk, StateTable *table, const ViewSpec *spec, StrategyNumber strategy, TimestampTz bound)
{
	Oid			type = spec->window.time_type;
	Oid			family = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	ScanKeyData keys[2];

	walk->parts = state_table_parts(table);
	walk->column = spec->keys[0].column.attnum;
	walk->slot = table_slot_create(walk->parts.relation, NULL);
	ScanKeyEntryInitialize(&keys[0], SK_ISNULL | SK_SEARCHNOTNULL, 1, InvalidStrategy, InvalidOid,
						   InvalidOid, InvalidOid, (Datum) 0);
	ScanKeyEntryInitialize(&keys[1], 0, 1, strategy, InvalidOid, InvalidOid,
						   get_opcode(get_opfamily_member(family, type, type, strategy)), TimestampTzGetDatum(bound));
	walk->scan = index_beginscan(walk->parts.relation, walk->parts.index, walk->parts.snapshot, NULL, 2, 0);
	index_rescan(walk->scan, keys, 2, NULL, 0);
}

static bool
walk_next(Walk *walk, ScanDirection direction, TimestampTz *start)
{
	bool		isnull;

	if (!index_getnext_slot(walk->scan, direction, walk->slot))
		return false;
	*start = DatumGetTimestampTz(slot_getattr(walk->slot, walk->column, &isnull));
	return true;
}

static void
end_walk(Walk *walk)
{
	index_endscan(walk->scan);
	ExecDropSingleTupleTableSlot(walk->slot);
}

bool
window_table_below(StateTable *table, const ViewSpec *spec, TimestampTz bound, bool at_bound, TimestampTz *start)
{
	Walk		walk;
	bool		found;

	begin_walk(&walk, table, spec, at_bound ? BTLessEqualStrategyNumber : BTLessStrategyNumber, bound);
	found = walk_next(&walk, BackwardScanDirection, start);
	end_walk(&walk);
	return found;
}

int64
window_table_remove(StateTable *table, const ViewSpec *spec, TimestampTz from, int64 max_rows,
					WindowExpired expired, void *arg, TimestampTz *start)
{
	Walk		walk;
	TimestampTz at;
	int64		n = 0;

	begin_walk(&walk, table, spec, BTGreaterEqualStrategyNumber, from);
	while (n < max_rows && walk_next(&walk, ForwardScanDirection, &at) && expired(arg, at))
	{
		simple_table_tuple_delete(walk.parts.relation, &walk.slot->tts_tid, walk.parts.snapshot);
		*start = at;
		n++;
	}
	end_walk(&walk);
	return n;
}
