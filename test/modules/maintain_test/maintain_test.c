/*
 * maintain_test.c
 *		src/maintain as SQL functions, for its tests and its benchmark.
 *
 * deltaflow's own functions are hidden in its module, so this one is linked from
 * the same objects.  Rows come from an ordinary table; there is no topic.
 */
#include "postgres.h"

#include <time.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "catalog/catalog.h"
#include "maintain/live_view_state.h"
#include "maintain/numeric_image.h"
#include "view/load.h"

PG_MODULE_MAGIC;

PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_fold);
PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_fold_passes);
PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_fill);
PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_numeric_images);
PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_keep);
PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_kept_fold);
PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_kept_time);
PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_kept_expire);
PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_kept_bytes);
PGDLLEXPORT PG_FUNCTION_INFO_V1(maintain_kept_discard);

/* All rows of a table in memory. */
typedef struct Rows
{
	TupleDesc	desc;
	HeapTuple  *tuple;
	int64		n;
	int64		capacity;
} Rows;

/* One run of maintain_fold. */
typedef struct Run
{
	const ViewSpec *spec;
	LiveView   *view;
	Size		cache_bytes;
	Rows		rows;
	RowBatch   *batch;
	pg_prng_state random;
	bool		random_cuts;
	int			batch_rows;
	int			epoch_rows;
	TimestampTz watermark;
	Interval   *lateness;
	int64		in_epoch;		/* rows folded and not written */
	int64		applied;
	int64		filtered;
	int64		late;
	int64		written;
	double		fold_time;		/* seconds of the processor */
	double		write_time;
} Run;

/* The spec of a view by its live view. */
static ViewSpec *
load_spec(Oid live)
{
	ViewSpec   *spec;
	ViewRow    *row = view_by_live(live);
	ViewRefusal *refusal;

	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation %u is no live view", live)));
	refusal = view_load(row, &spec);
	if (refusal != NULL)
		view_refusal_raise(refusal);
	return spec;
}

/* Reads a table whole. */
static Rows
read_rows(Oid relid)
{
	Relation	relation = table_open(relid, AccessShareLock);
	TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, NULL);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	Rows		rows = {.capacity = 1024};

	rows.desc = CreateTupleDescCopy(RelationGetDescr(relation));
	rows.tuple = palloc(rows.capacity * sizeof(HeapTuple));
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		if (rows.n == rows.capacity)
		{
			rows.capacity *= 2;
			rows.tuple = repalloc_huge(rows.tuple, rows.capacity * sizeof(HeapTuple));
		}
		rows.tuple[rows.n++] = ExecCopySlotHeapTuple(slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	return rows;
}

/* Puts rows in random order. */
static void
shuffle_rows(Rows *rows, pg_prng_state *random)
{
	for (int64 i = rows->n - 1; i > 0; i--)
	{
		int64		j = pg_prng_uint64_range(random, 0, i);
		HeapTuple	tuple = rows->tuple[i];

		rows->tuple[i] = rows->tuple[j];
		rows->tuple[j] = tuple;
	}
}

/* Rows [first, first + n) become the batch. */
static void
load_batch(RowBatch *batch, const Rows *rows, int64 first, int n)
{
	row_batch_reset(batch);
	for (int i = 0; i < n; i++)
		heap_deform_tuple(rows->tuple[first + i], rows->desc, row_values(batch, i), row_isnull(batch, i));
	batch->nrows = n;
}

/* This process's processor time: other load does not show. */
static double
processor_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

/* Folds the batch and counts. */
static void
fold_batch(Run *run)
{
	FoldResult	result;
	double		start = processor_seconds();

	live_view_fold(run->view, run->batch, run->watermark, run->lateness, &result);
	run->fold_time += processor_seconds() - start;
	run->applied += result.applied;
	run->filtered += result.filtered;
	run->late += result.nlate;
}

/* Ends the epoch. */
static void
write_epoch(Run *run)
{
	double		start = processor_seconds();

	run->written += live_view_write(run->view);
	run->write_time += processor_seconds() - start;
}

/* Is it time?  Random cuts: with this chance in a hundred. */
static bool
chance(Run *run, int percent)
{
	return (int) pg_prng_uint64_range(&run->random, 1, 100) <= percent;
}

/* Folds all rows once, in batches and epochs. */
static void
fold_all(Run *run)
{
	int64		first = 0;

	while (first < run->rows.n)
	{
		int64		n = run->random_cuts ? (int64) pg_prng_uint64_range(&run->random, 1, run->batch_rows) : run->batch_rows;

		CHECK_FOR_INTERRUPTS();
		n = Min(n, run->rows.n - first);
		load_batch(run->batch, &run->rows, first, (int) n);
		fold_batch(run);
		first += n;
		run->in_epoch += n;
		if (run->random_cuts ? chance(run, 30) : run->in_epoch >= run->epoch_rows)
		{
			write_epoch(run);
			run->in_epoch = 0;
			if (run->random_cuts && chance(run, 20))
			{
				live_view_close(run->view);
				run->view = live_view_open(run->spec, run->cache_bytes);
			}
			else if (run->random_cuts && chance(run, 10))
				live_view_discard(run->view);
		}
	}
}

/* The run's numbers as a row. */
static Datum
run_result(FunctionCallInfo fcinfo, const Run *run, int repeats)
{
	TupleDesc	desc;
	Datum		values[6];
	bool		isnull[6] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(run->applied);
	values[1] = Int64GetDatum(run->filtered);
	values[2] = Int64GetDatum(run->late);
	values[3] = Int64GetDatum(run->written);
	values[4] = Float8GetDatum(run->fold_time * 1e9 / Max(run->rows.n * repeats, 1));
	values[5] = Float8GetDatum(run->write_time * 1e6 / Max(run->written, 1));
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, isnull));
}

/* Folds a table: see the SQL. */
Datum
maintain_fold(PG_FUNCTION_ARGS)
{
	Run			run = {0};
	int			seed = PG_GETARG_INT32(2);
	int			repeats = PG_GETARG_INT32(9);

	run.spec = load_spec(PG_GETARG_OID(0));
	run.rows = read_rows(PG_GETARG_OID(1));
	run.cache_bytes = (Size) PG_GETARG_INT32(6) * 1024;
	run.view = live_view_open(run.spec, run.cache_bytes);
	run.random_cuts = seed != 0;
	pg_prng_seed(&run.random, seed);
	run.batch_rows = PG_GETARG_INT32(4);
	run.epoch_rows = PG_GETARG_INT32(5);
	run.watermark = PG_ARGISNULL(7) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(7);
	run.lateness = PG_ARGISNULL(8) ? NULL : PG_GETARG_INTERVAL_P(8);
	run.batch = row_batch_create(run.rows.desc, run.batch_rows);
	if (PG_GETARG_BOOL(3))
		shuffle_rows(&run.rows, &run.random);
	for (int i = 0; i < repeats; i++)
		fold_all(&run);
	write_epoch(&run);
	live_view_close(run.view);
	return run_result(fcinfo, &run, repeats);
}

/* Folds a table so many times in one epoch that is never written: see the SQL. */
Datum
maintain_fold_passes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Run			run = {.batch_rows = 1000, .epoch_rows = PG_INT32_MAX, .watermark = DT_NOBEGIN};

	InitMaterializedSRF(fcinfo, 0);
	run.view = live_view_open(load_spec(PG_GETARG_OID(0)), (Size) PG_INT32_MAX * 1024);
	run.rows = read_rows(PG_GETARG_OID(1));
	run.batch = row_batch_create(run.rows.desc, run.batch_rows);
	for (int pass = 1; pass <= PG_GETARG_INT32(2); pass++)
	{
		bool		nulls[2] = {0};
		Datum		values[2];

		run.in_epoch = 0;
		run.fold_time = 0;
		fold_all(&run);
		values[0] = Int32GetDatum(pass);
		values[1] = Float8GetDatum(run.fold_time * 1e9 / Max(run.rows.n, 1));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	live_view_discard(run.view);
	live_view_close(run.view);
	return (Datum) 0;
}

/* Fills the view from a table: see the SQL. */
Datum
maintain_fill(PG_FUNCTION_ARGS)
{
	LiveView   *view = live_view_open(load_spec(PG_GETARG_OID(0)), (Size) PG_GETARG_INT32(2) * 1024);
	int64		n = live_view_fill(view, PG_GETARG_OID(1), NULL);

	live_view_close(view);
	PG_RETURN_INT64(n);
}

/* A view kept between statements. */
static LiveView *kept = NULL;
static TimestampTz kept_watermark = DT_NOBEGIN;
static Interval kept_lateness;

/* Opens a view that stays. */
Datum
maintain_keep(PG_FUNCTION_ARGS)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (kept != NULL)
		live_view_close(kept);
	kept = NULL;
	kept = live_view_open(load_spec(PG_GETARG_OID(0)), (Size) PG_GETARG_INT32(1) * 1024);
	kept_watermark = DT_NOBEGIN;
	MemoryContextSwitchTo(old);
	PG_RETURN_VOID();
}

/* Folds a table into the kept view, as one epoch. */
Datum
maintain_kept_fold(PG_FUNCTION_ARGS)
{
	Run			run = {.view = kept, .watermark = kept_watermark,
		.lateness = kept_watermark == DT_NOBEGIN ? NULL : &kept_lateness};

	if (kept == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no view is kept")));
	run.rows = read_rows(PG_GETARG_OID(0));
	run.batch = row_batch_create(run.rows.desc, Max((int) run.rows.n, 1));
	load_batch(run.batch, &run.rows, 0, (int) run.rows.n);
	fold_batch(&run);
	write_epoch(&run);
	return run_result(fcinfo, &run, 1);
}

/* The watermark and lateness of the epochs that follow. */
Datum
maintain_kept_time(PG_FUNCTION_ARGS)
{
	kept_watermark = PG_GETARG_TIMESTAMPTZ(0);
	kept_lateness = *PG_GETARG_INTERVAL_P(1);
	PG_RETURN_VOID();
}

/* Removes a slice of what is older than that at the kept view's watermark; the horizon, -infinity when nothing was removed. */
Datum
maintain_kept_expire(PG_FUNCTION_ARGS)
{
	TimestampTz horizon = DT_NOBEGIN;

	(void) live_view_expire(kept, kept_watermark, &kept_lateness, PG_GETARG_INTERVAL_P(0)->time, PG_GETARG_INT32(1), &horizon);
	PG_RETURN_TIMESTAMPTZ(horizon);
}

/* Memory that the kept view's groups take. */
Datum
maintain_kept_bytes(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) live_view_cache_bytes(kept));
}

/* What a caller does after an abort. */
Datum
maintain_kept_discard(PG_FUNCTION_ARGS)
{
	live_view_discard(kept);
	PG_RETURN_VOID();
}

/* The server's numeric of a decimal text. */
static Numeric
server_numeric(const char *text)
{
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* A random decimal: up to 20 digits before the point and 16 behind it; *value in units of 10^-16. */
static char *
random_decimal(pg_prng_state *random, int128 *value, int *dscale)
{
	int			whole = pg_prng_uint64_range(random, 0, 20);
	StringInfoData text;

	*dscale = pg_prng_uint64_range(random, 0, 16);
	*value = 0;
	initStringInfo(&text);
	if (pg_prng_bool(random))
		appendStringInfoChar(&text, '-');
	for (int i = 0; i < whole + *dscale; i++)
	{
		int			digit = pg_prng_uint64_range(random, 0, 3) == 0 ? 0 : pg_prng_uint64_range(random, 0, 9);

		if (i == whole)
			appendStringInfoChar(&text, '.');
		appendStringInfoChar(&text, '0' + digit);
		*value = *value * 10 + digit;
	}
	if (whole + *dscale == 0)
		appendStringInfoChar(&text, '0');
	for (int i = *dscale; i < 16; i++)
		*value *= 10;
	if (text.data[0] == '-')
		*value = -*value;
	return text.data;
}

/* Compares images: see the SQL. */
Datum
maintain_numeric_images(PG_FUNCTION_ARGS)
{
	int			n = PG_GETARG_INT32(0);
	pg_prng_state random;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "images", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	pg_prng_seed(&random, PG_GETARG_INT32(1));
	for (int i = 0; i < n; i++)
	{
		int128		value;
		int128		read = 0;
		int			dscale;
		int			read_dscale = 0;
		char	   *text = random_decimal(&random, &value, &dscale);
		Numeric		theirs = server_numeric(text);
		Numeric		ours = numeric_image_make(value, 4, dscale);
		NumericKind kind = numeric_image_read(NumericGetDatum(theirs), 4, &read, &read_dscale);

		if (VARSIZE(theirs) != VARSIZE(ours) || memcmp(theirs, ours, VARSIZE(ours)) != 0)
		{
			MemoryContextSwitchTo(old);
			PG_RETURN_TEXT_P(cstring_to_text(psprintf("made another image of %s", text)));
		}
		if (kind != NUMERIC_SMALL || read != value || read_dscale != dscale)
		{
			MemoryContextSwitchTo(old);
			PG_RETURN_TEXT_P(cstring_to_text(psprintf("read %s wrongly", text)));
		}
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	PG_RETURN_TEXT_P(cstring_to_text("same"));
}
