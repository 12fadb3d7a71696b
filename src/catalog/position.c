/*
 * position.c
 *		Table deltaflow.position: the next offset of each partition, and the books.
 *
 * Written in the epoch's transaction, one row per partition that moved, and only
 * where the row still says what the epoch began with: a second consumer of the
 * same pipeline cannot slip in between.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/statement.h"
#include "clock.h"
#include "compat.h"

void
result_books(PositionRow *books, uint64 row, int column)
{
	books->consumed = result_int64(row, column, 0);
	books->applied = result_int64(row, column + 1, 0);
	books->late = result_int64(row, column + 2, 0);
	books->dead = result_int64(row, column + 3, 0);
	books->filtered = result_int64(row, column + 4, 0);
	books->redelivered = result_int64(row, column + 5, 0);
}

static void *
position_read(const CatalogCall *call, uint64 i)
{
	PositionRow *row = palloc0(sizeof(PositionRow));

	row->partition = result_int32(i, 1);
	row->first_offset = result_int64(i, 2, 0);
	row->next_offset = result_int64(i, 3, 0);
	row->end_offset = result_int64(i, 4, -1);
	row->max_event_time = result_time(i, 5);
	row->active_at = result_time(i, 6);
	row->future = result_int64(i, 7, 0);
	result_books(row, i, 8);
	return row;
}

#define POSITIONS_OF_PIPELINE \
	"SELECT topic_partition, first_offset, next_offset, end_offset, max_event_time, active_at, future, " \
	"consumed, applied, late, dead, filtered, redelivered " \
	"FROM deltaflow.position WHERE pipeline_id = $1 ORDER BY topic_partition"

List *
position_list(int64 pipeline_id)
{
	static Statement list = {POSITIONS_OF_PIPELINE, 1, {INT8OID}};
	Datum		key = Int64GetDatum(pipeline_id);

	return statement_list(&list, 1, &key, position_read);
}

List *
position_list_seen(int64 pipeline_id)
{
	static Statement list = {POSITIONS_OF_PIPELINE, 1, {INT8OID},.as_seen = true};
	Datum		key = Int64GetDatum(pipeline_id);

	return statement_list(&list, 1, &key, position_read);
}

void
position_insert(int64 pipeline_id, int32 partition, int64 first_offset)
{
	static Statement insert = {
		"INSERT INTO deltaflow.position (pipeline_id, topic_partition, first_offset, next_offset, active_at) "
		"VALUES ($1, $2, $3, $3, $4)",
		4, {INT8OID, INT4OID, INT8OID, TIMESTAMPTZOID}
	};
	Datum		values[] = {
		Int64GetDatum(pipeline_id), Int32GetDatum(partition), Int64GetDatum(first_offset),
		TimestampTzGetDatum(clock_now())
	};

	statement_execute(&insert, lengthof(values), values, NULL);
}

void
position_advance(int64 pipeline_id, const PositionRow *now, int64 expected_next)
{
	static Statement advance = {
		"UPDATE deltaflow.position SET next_offset = $3, end_offset = $4, max_event_time = $5, consumed = $6, "
		"applied = $7, late = $8, dead = $9, filtered = $10, redelivered = $11, active_at = $12, future = $13 "
		"WHERE pipeline_id = $1 AND topic_partition = $2 AND next_offset = $14",
		14, {INT8OID, INT4OID, INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID,
		INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID, INT8OID}
	};
	Datum		values[] = {
		Int64GetDatum(pipeline_id), Int32GetDatum(now->partition), Int64GetDatum(now->next_offset),
		Int64GetDatum(now->end_offset), TimestampTzGetDatum(now->max_event_time), Int64GetDatum(now->consumed),
		Int64GetDatum(now->applied), Int64GetDatum(now->late), Int64GetDatum(now->dead),
		Int64GetDatum(now->filtered), Int64GetDatum(now->redelivered), TimestampTzGetDatum(now->active_at),
		Int64GetDatum(now->future), Int64GetDatum(expected_next)
	};
	bool		isnull[14] = {false};

	isnull[3] = now->end_offset < 0;
	isnull[4] = now->max_event_time == DT_NOBEGIN;
	if (statement_execute(&advance, lengthof(values), values, isnull) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("position of partition %d was moved by another session", now->partition),
				 errdetail("Offset " INT64_FORMAT " was expected to be next.", expected_next)));
}

bool
position_move(int64 pipeline_id, int32 partition, int64 next_offset)
{
	static Statement move = {
		"UPDATE deltaflow.position SET next_offset = $3, end_offset = NULL "
		"WHERE pipeline_id = $1 AND topic_partition = $2",
		3, {INT8OID, INT4OID, INT8OID}
	};
	Datum		values[] = {Int64GetDatum(pipeline_id), Int32GetDatum(partition), Int64GetDatum(next_offset)};

	return statement_execute(&move, lengthof(values), values, NULL) == 1;
}
