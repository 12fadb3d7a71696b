/*
 * view.c
 *		Tables deltaflow.view and deltaflow.view_position: the continuous views, and
 *		the books of those that read a topic directly.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "catalog/statement.h"
#include "compat.h"

#define VIEW_COLUMNS \
	"id, pipeline_id, live, batch, state_table, fingerprint, lateness, emit = 'close', options::text, " \
	"pinned, server_major, state, last_error, hint, fill_xid, fill_relation, fill_block, horizon"

/* The elements of a text[], as C strings in the current context. */
static List *
text_array_to_list(Datum array)
{
	List	   *result = NIL;
	Datum	   *elements;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	for (int i = 0; i < n; i++)
		result = lappend(result, TextDatumGetCString(elements[i]));
	return result;
}

/* C strings to a text[]. */
static Datum
list_to_text_array(List *strings)
{
	Datum	   *elements = palloc(sizeof(Datum) * (list_length(strings) + 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, strings)
		elements[n++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Row i of a result of VIEW_COLUMNS. */
static void *
view_read(const CatalogCall *call, uint64 i)
{
	ViewRow    *row = palloc0(sizeof(ViewRow));
	bool		isnull;
	Datum		datum;

	row->id = result_int64(i, 1, 0);
	row->pipeline_id = result_int64(i, 2, 0);
	row->live = result_oid(i, 3);
	row->batch = result_oid(i, 4);
	row->state_table = result_oid(i, 5);
	row->fingerprint = result_text(call, i, 6);
	datum = result_datum(i, 7, &isnull);
	if (!isnull)
	{
		row->lateness = palloc(sizeof(Interval));
		*row->lateness = *DatumGetIntervalP(datum);
	}
	row->emit_close = result_bool(i, 8);
	row->options = result_text(call, i, 9);
	datum = result_datum(i, 10, &isnull);
	row->pinned = isnull ? NIL : text_array_to_list(datum);
	row->server_major = result_int32(i, 11);
	row->state = state_from_name(result_text(call, i, 12));
	row->last_error = result_text(call, i, 13);
	row->hint = result_text(call, i, 14);
	datum = result_datum(i, 15, &isnull);
	row->fill.xid = isnull ? InvalidFullTransactionId : DatumGetFullTransactionId(datum);
	row->fill.relation = result_oid(i, 16);
	row->fill.block = result_int64(i, 17, 0);
	row->horizon = result_time(i, 18);
	return row;
}

ViewRow *
view_by_live(Oid live)
{
	static Statement find = {
		"SELECT " VIEW_COLUMNS " FROM deltaflow.view WHERE live = $1", 1, {OIDOID}
	};
	Datum		key = ObjectIdGetDatum(live);
	List	   *rows = statement_list(&find, 1, &key, view_read);

	return rows == NIL ? NULL : linitial(rows);
}

List *
view_list(int64 pipeline_id)
{
	static Statement list = {
		"SELECT " VIEW_COLUMNS " FROM deltaflow.view WHERE pipeline_id = $1 ORDER BY id", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(pipeline_id);

	return statement_list(&list, 1, &key, view_read);
}

int64
view_insert(const ViewRow *row)
{
	static Statement insert = {
		"INSERT INTO deltaflow.view (pipeline_id, live, batch, state_table, fingerprint, lateness, emit, options, "
		"pinned, server_major, state, final_after) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11, $12) RETURNING id",
		12, {INT8OID, OIDOID, OIDOID, OIDOID, TEXTOID, INTERVALOID, TEXTOID, TEXTOID, TEXTARRAYOID, INT4OID, TEXTOID, INTERVALOID}
	};
	Datum		values[] = {
		Int64GetDatum(row->pipeline_id), ObjectIdGetDatum(row->live), ObjectIdGetDatum(row->batch),
		ObjectIdGetDatum(row->state_table), CStringGetTextDatum(row->fingerprint),
		IntervalPGetDatum(row->lateness), CStringGetTextDatum(row->emit_close ? "close" : "update"),
		CStringGetTextDatum(row->options != NULL ? row->options : "{}"), list_to_text_array(row->pinned),
		Int32GetDatum(row->server_major), CStringGetTextDatum(state_name(row->state)),
		IntervalPGetDatum(row->final_after)
	};
	bool		isnull[12] = {false};
	CatalogCall call;
	int64		id;

	isnull[5] = (row->lateness == NULL);
	isnull[11] = (row->final_after == NULL);
	catalog_begin(&call);
	statement_run(&insert, lengthof(values), values, isnull);
	id = result_int64(0, 1, 0);
	catalog_end(&call);
	return id;
}

void
view_delete(int64 id)
{
	static Statement steps[] = {
		{"DELETE FROM deltaflow.view WHERE id = $1", 1, {INT8OID}},
		{"DELETE FROM deltaflow.view_position WHERE view_id = $1", 1, {INT8OID}},
		{"DELETE FROM deltaflow.late_row WHERE view_id = $1", 1, {INT8OID}},
	};
	Datum		key = Int64GetDatum(id);

	for (int i = 0; i < lengthof(steps); i++)
		statement_execute(&steps[i], 1, &key, NULL);
}

void
view_set_state(int64 id, RunState state, const char *error, const char *hint)
{
	static Statement set = {
		"UPDATE deltaflow.view SET state = $2, last_error = $3, hint = $4, fill_xid = NULL, fill_relation = NULL, "
		"fill_block = NULL WHERE id = $1",
		4, {INT8OID, TEXTOID, TEXTOID, TEXTOID}
	};
	bool		isnull[4] = {false};
	Datum		values[4];

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(state_name(state));
	values[2] = text_argument(error, &isnull[2]);
	values[3] = text_argument(hint, &isnull[3]);
	statement_execute(&set, lengthof(values), values, isnull);
}

/* Notes which definition, as this major version of the server prints it, the state belongs to. */
void
view_stamp(int64 id, const char *fingerprint, int server_major)
{
	static Statement stamp = {
		"UPDATE deltaflow.view SET fingerprint = $2, server_major = $3 WHERE id = $1", 3, {INT8OID, TEXTOID, INT4OID}
	};
	Datum		values[] = {Int64GetDatum(id), CStringGetTextDatum(fingerprint), Int32GetDatum(server_major)};

	statement_execute(&stamp, lengthof(values), values, NULL);
}

void
view_set_fill(int64 id, const FillPoint *fill)
{
	static Statement set = {
		"UPDATE deltaflow.view SET fill_xid = $2, fill_relation = $3, fill_block = $4 WHERE id = $1",
		4, {INT8OID, XID8OID, OIDOID, INT8OID}
	};
	Datum		values[] = {
		Int64GetDatum(id), FullTransactionIdGetDatum(fill->xid), ObjectIdGetDatum(fill->relation),
		Int64GetDatum(fill->block)
	};

	statement_execute(&set, lengthof(values), values, NULL);
}

void
view_forget_fills(int64 pipeline_id)
{
	static Statement forget = {
		"UPDATE deltaflow.view SET fill_xid = NULL WHERE pipeline_id = $1 AND fill_xid IS NOT NULL", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(pipeline_id);

	statement_execute(&forget, 1, &key, NULL);
}

void
view_add_late(int64 id, int64 n)
{
	static Statement add = {
		"UPDATE deltaflow.view SET late_rows = late_rows + $2 WHERE id = $1", 2, {INT8OID, INT8OID}
	};
	Datum		values[] = {Int64GetDatum(id), Int64GetDatum(n)};

	statement_execute(&add, lengthof(values), values, NULL);
}

void
view_set_horizon(int64 id, TimestampTz horizon)
{
	static Statement set = {
		"UPDATE deltaflow.view SET horizon = $2 WHERE id = $1", 2, {INT8OID, TIMESTAMPTZOID}
	};
	Datum		values[] = {Int64GetDatum(id), TimestampTzGetDatum(horizon)};

	statement_execute(&set, lengthof(values), values, NULL);
}

void
view_set_options(int64 id, const char *options)
{
	static Statement set = {
		"UPDATE deltaflow.view SET options = $2::jsonb WHERE id = $1", 2, {INT8OID, TEXTOID}
	};
	Datum		values[] = {Int64GetDatum(id), CStringGetTextDatum(options)};

	statement_execute(&set, lengthof(values), values, NULL);
}

static void *
view_position_read(const CatalogCall *call, uint64 i)
{
	PositionRow *row = palloc0(sizeof(PositionRow));

	row->partition = result_int32(i, 1);
	row->next_offset = result_int64(i, 2, 0);
	row->end_offset = -1;
	row->max_event_time = DT_NOBEGIN;
	result_books(row, i, 3);
	row->fill_next = result_int64(i, 9, 0);
	row->fill_upto = result_int64(i, 10, 0);
	return row;
}

List *
view_position_list(int64 view_id)
{
	static Statement list = {
		"SELECT topic_partition, next_offset, consumed, applied, late, dead, filtered, redelivered, "
		"fill_next, fill_upto "
		"FROM deltaflow.view_position WHERE view_id = $1 ORDER BY topic_partition",
		1, {INT8OID}
	};
	Datum		key = Int64GetDatum(view_id);

	return statement_list(&list, 1, &key, view_position_read);
}

void
view_position_put(int64 view_id, const PositionRow *row)
{
	static Statement put = {
		"INSERT INTO deltaflow.view_position AS p (view_id, topic_partition, next_offset, consumed, applied, late, "
		"dead, filtered, redelivered, fill_next, fill_upto) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
		"ON CONFLICT (view_id, topic_partition) DO UPDATE SET next_offset = EXCLUDED.next_offset, "
		"consumed = EXCLUDED.consumed, applied = EXCLUDED.applied, late = EXCLUDED.late, dead = EXCLUDED.dead, "
		"filtered = EXCLUDED.filtered, redelivered = EXCLUDED.redelivered, fill_next = EXCLUDED.fill_next, "
		"fill_upto = EXCLUDED.fill_upto",
		11, {INT8OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID}
	};
	Datum		values[] = {
		Int64GetDatum(view_id), Int32GetDatum(row->partition), Int64GetDatum(row->next_offset),
		Int64GetDatum(row->consumed), Int64GetDatum(row->applied), Int64GetDatum(row->late),
		Int64GetDatum(row->dead), Int64GetDatum(row->filtered), Int64GetDatum(row->redelivered),
		Int64GetDatum(row->fill_next), Int64GetDatum(row->fill_upto)
	};

	StaticAssertStmt(lengthof(values) == 11, "a value for each column");
	statement_execute(&put, lengthof(values), values, NULL);
}
