/*
 * late_row.c
 *		Table deltaflow.late_row: rows whose window had closed, kept with position.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/statement.h"
#include "compat.h"

void
late_row_insert(int64 view_id, int64 epoch, const char *topic, const KafkaRecord *record,
				TimestampTz event_time, TimestampTz window_start, TimestampTz window_end,
				bool left_out, const char *row_json)
{
	static Statement insert = {
		"INSERT INTO deltaflow.late_row (view_id, epoch, topic, partition, record_offset, event_time, window_start, "
		"window_end, row_data, left_out) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10)",
		10, {INT8OID, INT8OID, TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, BOOLOID}
	};
	bool		isnull[10] = {false};
	Datum		values[10];

	values[0] = Int64GetDatum(view_id);
	values[1] = Int64GetDatum(epoch);
	values[2] = CStringGetTextDatum(topic);
	isnull[3] = isnull[4] = (record == NULL);
	values[3] = Int32GetDatum(record != NULL ? record->partition : 0);
	values[4] = Int64GetDatum(record != NULL ? record->offset : 0);
	values[5] = TimestampTzGetDatum(event_time);
	values[6] = TimestampTzGetDatum(window_start);
	values[7] = TimestampTzGetDatum(window_end);
	values[8] = CStringGetTextDatum(row_json);
	values[9] = BoolGetDatum(left_out);
	statement_execute(&insert, lengthof(values), values, isnull);
}

/*
 * The books count rows, a row late for several windows once, and one that was in some
 * of its windows not as late.
 */
#define TAKE_IN_WHERE(condition) \
	"WITH taken AS (UPDATE deltaflow.late_row SET taken_in_at = clock_timestamp() " \
	"WHERE view_id = $1 AND taken_in_at IS NULL AND " condition " " \
	"RETURNING partition, record_offset, left_out), " \
	"counted AS (SELECT partition, count(DISTINCT record_offset) AS n FROM taken WHERE left_out GROUP BY partition) " \
	"UPDATE deltaflow.view_position p SET late = p.late - c.n, applied = p.applied + c.n " \
	"FROM counted c WHERE p.view_id = $1 AND p.topic_partition = c.partition"

#define TAKE_IN(time) TAKE_IN_WHERE(time " >= $2 AND " time " < $3")

void
late_rows_taken_in_by_id(int64 view_id, Datum *ids, int n)
{
	static Statement by_id = {TAKE_IN_WHERE("id = ANY ($2)"), 2, {INT8OID, INT8ARRAYOID}};
	Datum		values[2];

	if (n == 0)
		return;
	values[0] = Int64GetDatum(view_id);
	values[1] = PointerGetDatum(construct_array(ids, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	statement_execute(&by_id, lengthof(values), values, NULL);
}

void
late_rows_taken_in(int64 view_id, bool by_event_time, TimestampTz since, TimestampTz until)
{
	static Statement by_window = {TAKE_IN("window_start"), 3, {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}};
	static Statement by_row = {TAKE_IN("coalesce(event_time, '-infinity')"), 3, {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}};
	Datum		values[3];

	values[0] = Int64GetDatum(view_id);
	values[1] = TimestampTzGetDatum(since);
	values[2] = TimestampTzGetDatum(until);
	statement_execute(by_event_time ? &by_row : &by_window, lengthof(values), values, NULL);
}
