/*
 * late_row.c
 *		Table deltaflow.late_row: rows whose window had closed, kept with position.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/statement.h"
#include "compat.h"

void
late_row_insert(int64 view_id, int64 epoch, const char *topic, const KafkaRecord *record,
				TimestampTz event_time, TimestampTz window_start, TimestampTz window_end,
				const char *row_json)
{
	static Statement insert = {
		"INSERT INTO deltaflow.late_row (view_id, epoch, topic, partition, record_offset, event_time, window_start, "
		"window_end, row_data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)",
		9, {INT8OID, INT8OID, TEXTOID, INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID}
	};
	bool		isnull[9] = {false};
	Datum		values[9];

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
	statement_execute(&insert, values, isnull);
}

void
late_rows_taken_in(int64 view_id, TimestampTz since, TimestampTz until)
{
	static Statement update = {
		"WITH taken AS (UPDATE deltaflow.late_row SET taken_in_at = clock_timestamp() "
		"WHERE view_id = $1 AND taken_in_at IS NULL AND window_start >= $2 AND window_start < $3 RETURNING partition), "
		"counted AS (SELECT partition, count(*) AS n FROM taken GROUP BY partition) "
		"UPDATE deltaflow.view_position p SET late = p.late - c.n, applied = p.applied + c.n "
		"FROM counted c WHERE p.view_id = $1 AND p.topic_partition = c.partition",
		3, {INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID}
	};
	Datum		values[3];

	values[0] = Int64GetDatum(view_id);
	values[1] = TimestampTzGetDatum(since);
	values[2] = TimestampTzGetDatum(until);
	statement_execute(&update, values, NULL);
}
