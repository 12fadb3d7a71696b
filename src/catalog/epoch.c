/*
 * epoch.c
 *		Table deltaflow.epoch: what each epoch took, and the watermark it judged by.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "catalog/statement.h"
#include "compat.h"

void
epoch_insert(int64 pipeline_id, int64 epoch, TimestampTz watermark,
			 int32 partition, int64 first_offset, int64 next_offset, int64 records)
{
	static Statement insert = {
		"INSERT INTO deltaflow.epoch (pipeline_id, epoch, topic_partition, committed_at, watermark, first_offset, "
		"next_offset, records) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		8, {INT8OID, INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID}
	};
	Datum		values[] = {
		Int64GetDatum(pipeline_id), Int64GetDatum(epoch), Int32GetDatum(partition),
		TimestampTzGetDatum(GetCurrentTimestamp()), TimestampTzGetDatum(watermark),
		Int64GetDatum(first_offset), Int64GetDatum(next_offset), Int64GetDatum(records)
	};
	bool		isnull[8] = {false};

	isnull[4] = (watermark == DT_NOBEGIN);
	statement_execute(&insert, lengthof(values), values, isnull);
}

void
epoch_prune(int64 pipeline_id, int64 upto_epoch)
{
	static Statement prune = {
		"DELETE FROM deltaflow.epoch WHERE pipeline_id = $1 AND epoch <= $2", 2, {INT8OID, INT8OID}
	};
	Datum		values[] = {Int64GetDatum(pipeline_id), Int64GetDatum(upto_epoch)};

	statement_execute(&prune, lengthof(values), values, NULL);
}

/*
 * Epochs are numbered in the order they commit, so the walk begins at the oldest
 * one and looks at max_epochs of them; it needs no index by time.
 */
uint64
epoch_prune_before(int64 pipeline_id, TimestampTz before, int max_epochs)
{
	static Statement prune = {
		"DELETE FROM deltaflow.epoch WHERE pipeline_id = $1 AND committed_at < $2 AND epoch < $3 + "
		"(SELECT epoch FROM deltaflow.epoch WHERE pipeline_id = $1 ORDER BY epoch LIMIT 1)",
		3, {INT8OID, TIMESTAMPTZOID, INT8OID}
	};
	Datum		values[] = {
		Int64GetDatum(pipeline_id), TimestampTzGetDatum(before), Int64GetDatum(max_epochs)
	};

	return statement_execute(&prune, lengthof(values), values, NULL);
}
