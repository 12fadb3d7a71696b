/*
 * pipeline.c
 *		Table deltaflow.pipeline: what is consumed, and how far the epochs got.
 *
 * The row is the pipeline's lock.  Every transaction that moves or changes a
 * pipeline locks it before positions and views, and after any relation that it
 * waits for, so nobody waits in a circle (src/README.md).  An epoch writes it once, at its end: begin_epoch only locks
 * and compares, which leaves no dead version behind.
 *
 * Whatever changes what workers act on wakes them at commit, here, so that no DDL
 * function can forget it.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/statement.h"
#include "compat.h"
#include "worker/wake.h"

#define PIPELINE_COLUMNS \
	"id, name, topic, target, filter, options::text, state, last_error, hint, epoch, " \
	"generation, watermark, system_identifier, database_id, start_at"

/* Row i of a result of PIPELINE_COLUMNS, in the caller's context. */
static void *
pipeline_read(const CatalogCall *call, uint64 i)
{
	PipelineRow *row = MemoryContextAllocZero(call->caller, sizeof(PipelineRow));

	row->id = result_int64(i, 1, 0);
	row->name = result_text(call, i, 2);
	row->topic = result_oid(i, 3);
	row->target = result_oid(i, 4);
	row->filter = result_text(call, i, 5);
	row->options = result_text(call, i, 6);
	row->state = state_from_name(result_text(call, i, 7));
	row->last_error = result_text(call, i, 8);
	row->hint = result_text(call, i, 9);
	row->epoch = result_int64(i, 10, 0);
	row->generation = result_int64(i, 11, 0);
	row->watermark = result_time(i, 12);
	row->system_identifier = result_int64(i, 13, 0);
	row->database_id = result_oid(i, 14);
	row->start_at = result_text(call, i, 15);
	return row;
}

/* Runs a query of PIPELINE_COLUMNS that gives one row or none. */
static PipelineRow *
pipeline_find(Statement *statement, Datum key)
{
	CatalogCall call;
	PipelineRow *row = NULL;

	catalog_begin(&call);
	if (statement_run(statement, 1, &key, NULL) > 0)
		row = pipeline_read(&call, 0);
	catalog_end(&call);
	return row;
}

PipelineRow *
pipeline_by_id(int64 id)
{
	static Statement find = {
		"SELECT " PIPELINE_COLUMNS " FROM deltaflow.pipeline WHERE id = $1", 1, {INT8OID}
	};

	return pipeline_find(&find, Int64GetDatum(id));
}

PipelineRow *
pipeline_by_name(const char *name)
{
	static Statement find = {
		"SELECT " PIPELINE_COLUMNS " FROM deltaflow.pipeline WHERE name = $1", 1, {TEXTOID}
	};

	return pipeline_find(&find, CStringGetTextDatum(name));
}

PipelineRow *
pipeline_by_target(Oid target)
{
	static Statement find = {
		"SELECT " PIPELINE_COLUMNS " FROM deltaflow.pipeline WHERE target = $1", 1, {OIDOID}
	};

	return pipeline_find(&find, ObjectIdGetDatum(target));
}

PipelineRow *
pipeline_of_topic(Oid topic)
{
	static Statement find = {
		"SELECT " PIPELINE_COLUMNS " FROM deltaflow.pipeline WHERE topic = $1 AND target IS NULL",
		1, {OIDOID}
	};

	return pipeline_find(&find, ObjectIdGetDatum(topic));
}

List *
pipeline_list(void)
{
	static Statement all = {
		"SELECT " PIPELINE_COLUMNS " FROM deltaflow.pipeline ORDER BY id", 0
	};

	return statement_list(&all, 0, NULL, pipeline_read);
}

List *
pipeline_list_of_relation(Oid relid)
{
	static Statement find = {
		"SELECT " PIPELINE_COLUMNS " FROM deltaflow.pipeline WHERE topic = $1 OR target = $1 ORDER BY id",
		1, {OIDOID}
	};
	Datum		key = ObjectIdGetDatum(relid);

	return statement_list(&find, 1, &key, pipeline_read);
}

List *
pipeline_list_of_other_topic(void)
{
	static Statement find = {
		"SELECT " PIPELINE_COLUMNS " FROM deltaflow.pipeline "
		"WHERE topic_name <> deltaflow.topic_option(topic, 'topic') ORDER BY id", 0
	};

	return statement_list(&find, 0, NULL, pipeline_read);
}

int64
pipeline_insert(const PipelineRow *row)
{
	static Statement insert = {
		"INSERT INTO deltaflow.pipeline (name, topic, target, filter, start_at, options, state, "
		"system_identifier, database_id, topic_name) "
		"VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, deltaflow.topic_name($2)) RETURNING id",
		9, {TEXTOID, OIDOID, OIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, OIDOID}
	};
	bool		isnull[9] = {false};
	Datum		values[9];
	CatalogCall call;
	int64		id;

	values[0] = CStringGetTextDatum(row->name);
	values[1] = ObjectIdGetDatum(row->topic);
	values[2] = ObjectIdGetDatum(row->target);
	isnull[2] = !OidIsValid(row->target);
	values[3] = text_argument(row->filter, &isnull[3]);
	values[4] = CStringGetTextDatum(row->start_at);
	values[5] = CStringGetTextDatum(row->options != NULL ? row->options : "{}");
	values[6] = CStringGetTextDatum(state_name(row->state));
	values[7] = Int64GetDatum((int64) GetSystemIdentifier());
	values[8] = ObjectIdGetDatum(MyDatabaseId);

	catalog_begin(&call);
	statement_run(&insert, lengthof(values), values, isnull);
	id = result_int64(0, 1, 0);
	catalog_end(&call);
	wake_workers_at_commit();
	return id;
}

void
pipeline_delete(int64 id)
{
	static Statement steps[] = {
		{"DELETE FROM deltaflow.pipeline WHERE id = $1", 1, {INT8OID}},
		{"DELETE FROM deltaflow.position WHERE pipeline_id = $1", 1, {INT8OID}},
		{"DELETE FROM deltaflow.epoch WHERE pipeline_id = $1", 1, {INT8OID}},
	};
	Datum		key = Int64GetDatum(id);

	for (int i = 0; i < lengthof(steps); i++)
		statement_execute(&steps[i], 1, &key, NULL);
	wake_workers_at_commit();
}

PipelineRow *
pipeline_lock(int64 id)
{
	static Statement lock = {
		"SELECT " PIPELINE_COLUMNS " FROM deltaflow.pipeline WHERE id = $1 FOR NO KEY UPDATE", 1, {INT8OID}
	};

	return pipeline_find(&lock, Int64GetDatum(id));
}

void
pipeline_changed(int64 id)
{
	static Statement change = {
		"UPDATE deltaflow.pipeline SET generation = generation + 1 WHERE id = $1", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(id);

	statement_execute(&change, 1, &key, NULL);
	wake_workers_at_commit();
}

/*
 * Running means: here.  Resuming a copied pipeline adopts it for this database,
 * where the transaction ids by which fillings tell old rows are others.
 */
void
pipeline_set_state(int64 id, RunState state, const char *error, const char *hint)
{
	static Statement set = {
		"UPDATE deltaflow.pipeline SET state = $2, last_error = $3, hint = $4, generation = generation + 1, "
		"system_identifier = CASE WHEN $2 = 'running' THEN $5 ELSE system_identifier END, "
		"database_id = CASE WHEN $2 = 'running' THEN $6 ELSE database_id END WHERE id = $1",
		6, {INT8OID, TEXTOID, TEXTOID, TEXTOID, INT8OID, OIDOID}
	};
	bool		isnull[6] = {false};
	Datum		values[6];

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(state_name(state));
	values[2] = text_argument(error, &isnull[2]);
	values[3] = text_argument(hint, &isnull[3]);
	values[4] = Int64GetDatum((int64) GetSystemIdentifier());
	values[5] = ObjectIdGetDatum(MyDatabaseId);
	statement_execute(&set, lengthof(values), values, isnull);
	if (state == STATE_RUNNING)
		view_forget_fills(id);
	wake_workers_at_commit();
}

bool
pipeline_begin_epoch(int64 id, int64 last_epoch, int64 generation)
{
	static Statement take = {
		"SELECT 1 FROM deltaflow.pipeline WHERE id = $1 AND epoch = $2 AND generation = $3 "
		"AND state = 'running' FOR NO KEY UPDATE",
		3, {INT8OID, INT8OID, INT8OID}
	};
	Datum		values[] = {Int64GetDatum(id), Int64GetDatum(last_epoch), Int64GetDatum(generation)};

	return statement_execute(&take, lengthof(values), values, NULL) == 1;
}

void
pipeline_end_epoch(int64 id, int64 epoch, TimestampTz watermark, double rows_per_second)
{
	static Statement end = {
		"UPDATE deltaflow.pipeline SET epoch = $2, watermark = $3, rows_per_second = $4, last_commit = $5, "
		"last_error = NULL, hint = NULL, attempts = 0 WHERE id = $1",
		5, {INT8OID, INT8OID, TIMESTAMPTZOID, FLOAT8OID, TIMESTAMPTZOID}
	};
	Datum		values[] = {
		Int64GetDatum(id), Int64GetDatum(epoch), TimestampTzGetDatum(watermark),
		Float8GetDatum(rows_per_second), TimestampTzGetDatum(GetCurrentTimestamp())
	};
	bool		isnull[] = {false, false, watermark == DT_NOBEGIN, false, false};

	statement_execute(&end, lengthof(values), values, isnull);
}

void
pipeline_set_trouble(int64 id, const char *error, const char *hint)
{
	static Statement set = {
		"UPDATE deltaflow.pipeline SET last_error = $2, hint = $3 WHERE id = $1", 3, {INT8OID, TEXTOID, TEXTOID}
	};
	bool		isnull[3] = {false};
	Datum		values[3];

	values[0] = Int64GetDatum(id);
	values[1] = text_argument(error, &isnull[1]);
	values[2] = text_argument(hint, &isnull[2]);
	statement_execute(&set, lengthof(values), values, isnull);
}
