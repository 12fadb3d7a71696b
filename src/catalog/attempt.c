/*
 * attempt.c
 *		Column attempts of deltaflow.pipeline: starts of a worker that have not come
 *		to anything yet.
 *
 * A worker counts itself before it touches its pipeline and takes the count back
 * when it has lived well; the end of every epoch does so too.  A crash takes down
 * the whole server and its shared memory with it, so what has to be known
 * afterwards, namely that this pipeline was being started, has to be a committed
 * row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "catalog/statement.h"
#include "compat.h"

int
pipeline_attempts(int64 id)
{
	static Statement get = {
		"SELECT attempts FROM deltaflow.pipeline WHERE id = $1", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(id);
	CatalogCall call;
	int			attempts = 0;

	catalog_begin(&call);
	if (statement_run(&get, 1, &key, NULL) > 0)
		attempts = result_int32(0, 1);
	catalog_end(&call);
	return attempts;
}

void
pipeline_count_attempt(int64 id)
{
	static Statement count = {
		"UPDATE deltaflow.pipeline SET attempts = attempts + 1 WHERE id = $1", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(id);

	statement_execute(&count, 1, &key, NULL);
}

void
pipeline_clear_attempts(int64 id)
{
	static Statement clear = {
		"UPDATE deltaflow.pipeline SET attempts = 0 WHERE id = $1 AND attempts <> 0", 1, {INT8OID}
	};
	Datum		key = Int64GetDatum(id);

	statement_execute(&clear, 1, &key, NULL);
}
