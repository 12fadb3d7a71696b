/*
 * scan.c
 *		SELECT from a topic.
 *
 * In goes a plan, out come rows:
 *
 *	  first row:   ask for the partitions' ranges, now fixed until the query's end
 *				   |> option start, limits of the engine
 *				   |> regions of the conditions (range.c), timestamps turned into offsets
 *	  each row:    next record (bounded_read.c) -> decode (row_reader.c) -> slot
 *	  rescan:	   the same ranges again; regions anew when parameters changed
 *
 * Invariant: a scan returns exactly the records between the log's start and its
 * end at the first row, that satisfy the conditions and can be decoded; what it
 * fetches less, conditions exclude.  A record that cannot be decoded is an ERROR
 * with on_error 'stop', and else left out with a WARNING, the first few one by
 * one, the others counted: a live view does not contain it either.
 *
 * Nothing is asked of the broker before the first row, nor by EXPLAIN.  The
 * consumer belongs to the scan's memory context, so an error closes it.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "fdw/routine.h"
#include "fdw/scan.h"
#include "fdw/start.h"

#define WARNINGS_PER_SCAN	5	/* records left out are reported one by one up to this many */

/* The user whose mapping counts: a view's owner reads as themselves. */
static Oid
effective_user(ForeignScanState *node)
{
	Oid			checked = scan_check_as_user(node);

	return OidIsValid(checked) ? checked : GetUserId();
}

/*
 * The columns to decode: those the query needs, the topic's constraints' and event
 * time, because a record without a good one is a row to nobody, and the engine's.
 */
static Bitmapset *
columns_to_decode(const ForeignScan *plan, const Topic *topic, const ScanBounds *bounds)
{
	Bitmapset  *columns = bms_add_members(bms_make_singleton(0), decoder_required(topic));
	ListCell   *cell;

	foreach(cell, (List *) list_nth(plan->fdw_private, PRIVATE_COLUMNS))
	{
		if (lfirst_int(cell) == 0)
			return NULL;		/* the whole row */
		columns = bms_add_member(columns, lfirst_int(cell));
	}
	if (topic->event_time != 0)
		columns = bms_add_member(columns, topic->event_time);
	if (bounds != NULL)
		columns = bms_add_members(columns, bounds->columns);
	return columns;
}

void
topic_begin_scan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	TopicScan  *scan = palloc0(sizeof(TopicScan));
	MemoryContext old;

	scan->topic = topic_load(RelationGetRelid(node->ss.ss_currentRelation), effective_user(node));
	scan->pushdown = pushdown_build(plan->fdw_exprs, plan->scan.scanrelid, scan->topic);
	node->fdw_state = scan;
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	scan->scan_context = AllocSetContextCreate(CurrentMemoryContext, "deltaflow scan of a topic",
											   ALLOCSET_DEFAULT_SIZES);
	scan->value_context = AllocSetContextCreate(scan->scan_context, "deltaflow conditions on a topic",
												ALLOCSET_SMALL_SIZES);
	scan->bounds = scan_bounds_find(scan->topic->relid);
	scan->engine = scan->bounds != NULL;
	pushdown_init(scan->pushdown, &node->ss.ps);
	scan->econtext = node->ss.ps.ps_ExprContext;
	old = MemoryContextSwitchTo(scan->scan_context);
	scan->rows = row_reader_create(scan->topic, columns_to_decode(plan, scan->topic, scan->bounds));
	MemoryContextSwitchTo(old);
}

/* The region that option start leaves: a time or offsets; latest is the business of those who keep a position. */
static Region
region_of_start(const Topic *topic, int32 partition)
{
	Region		region = region_everything();
	Start		start;

	if (!start_parse(topic->start, &start))
		return region;
	if (start.kind == START_TIME)
		region.since = kafka_milliseconds(start.time);
	for (int i = 0; i < start.npositions; i++)
		if (start.positions[i].partition == partition)
			region.from = start.positions[i].offset;
	return region;
}

/* ERROR when the log does not hold everything that the engine wants to read. */
static void
check_bounds(const Topic *topic, const KafkaRange *log, Region wanted)
{
	if (region_is_empty(wanted) || (wanted.from >= log->low && wanted.upto <= log->high))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_ERROR),
			 errmsg("topic \"%s\" does not hold all the records wanted", topic->name),
			 errdetail("Of partition %d offsets %lld to %lld are wanted, and %lld to %lld are there.",
					   log->partition, (long long) wanted.from, (long long) wanted.upto - 1,
					   (long long) log->low, (long long) log->high - 1),
			 errhint("The broker removed them for their age or the topic's size; only what is stored in tables can be computed again.")));
}

/* What of a partition this scan may read at all, before conditions. */
static Region
readable_region(const TopicScan *scan, const KafkaRange *log)
{
	Region		region = {log->low, log->high, PG_INT64_MIN};
	Region		wanted;

	if (scan->bounds == NULL)
		return region_intersect(region, region_of_start(scan->topic, log->partition));
	wanted = scan_bounds_region(scan->bounds, log->partition);
	if (scan->bounds->from == NULL)
		wanted.from = Max(wanted.from, log->low);
	check_bounds(scan->topic, log, wanted);
	return region_intersect(region, wanted);
}

/* The partition of an offset, as it was at the first row. */
static const KafkaRange *
log_of(const TopicScan *scan, int32 partition)
{
	const KafkaRange *log = scan->log;

	while (log->partition != partition)
		log++;
	return log;
}

/*
 * Where partitions whose broker found no record as young really begin.  A broker
 * that knows no timestamps at all (old log formats, the mock) gives that answer
 * to any question; asked for the year 1970 it gives itself away, and the whole
 * partition is read.
 */
static void
doubt_empty_answers(TopicScan *scan, KafkaPosition *positions, int n)
{
	KafkaPosition *first = palloc(n * sizeof(KafkaPosition));
	int			nfirst = 0;

	for (int i = 0; i < n; i++)
		if (positions[i].offset >= log_of(scan, positions[i].partition)->high)
			first[nfirst++] = positions[i];
	if (nfirst > 0)
		consumer_offsets_for_time(scan->consumer, first, nfirst, 0, broker_timeout);
	for (int i = 0, k = 0; k < nfirst; i++)
	{
		const KafkaRange *log = log_of(scan, positions[i].partition);

		if (positions[i].partition != first[k].partition)
			continue;
		if (first[k].offset >= log->high)
			positions[i].offset = log->low;
		k++;
	}
	pfree(first);
}

/* The first offsets with timestamp >= since, for the regions that ask for that time. */
static void
seek_time(TopicScan *scan, Region *regions, int64 since)
{
	KafkaPosition *positions = palloc(scan->npartitions * sizeof(KafkaPosition));
	int			n = 0;

	for (int i = 0; i < scan->npartitions; i++)
		if (regions[i].since == since && !region_is_empty(regions[i]))
			positions[n++].partition = scan->log[i].partition;
	consumer_offsets_for_time(scan->consumer, positions, n, since, broker_timeout);
	doubt_empty_answers(scan, positions, n);
	for (int i = 0, k = 0; k < n; i++)
	{
		if (scan->log[i].partition != positions[k].partition)
			continue;
		regions[i].from = Max(regions[i].from, positions[k].offset);
		regions[i].since = PG_INT64_MIN;
		k++;
	}
	pfree(positions);
}

/* Turns the timestamps in regions into offsets: one question for each different timestamp. */
static void
seek_times(TopicScan *scan, Region *regions)
{
	for (int i = 0; i < scan->npartitions; i++)
		if (regions[i].since != PG_INT64_MIN && !region_is_empty(regions[i]))
			seek_time(scan, regions, regions[i].since);
}

/* The ranges of this round, from conditions as they are now. */
static void
set_ranges(TopicScan *scan)
{
	Region	   *regions = palloc(scan->npartitions * sizeof(Region));

	for (int i = 0; i < scan->npartitions; i++)
		regions[i] = region_intersect(readable_region(scan, &scan->log[i]),
									  range_of_partition(scan->pushdown->root, scan->log[i].partition));
	seek_times(scan, regions);
	if (scan->ranges == NULL)
		scan->ranges = palloc0(scan->npartitions * sizeof(ReadRange));
	for (int i = 0; i < scan->npartitions; i++)
	{
		scan->ranges[i].partition = scan->log[i].partition;
		scan->ranges[i].from = regions[i].from;
		scan->ranges[i].upto = Max(regions[i].from, regions[i].upto);
	}
	pfree(regions);
}

/* Connects and fixes the end of what is read. */
static void
open_log(TopicScan *scan)
{
	const Topic *topic = scan->topic;

	scan->consumer = consumer_open(topic->name, topic->options, topic->noptions);
	scan->log = consumer_ranges(scan->consumer, &scan->npartitions, broker_timeout);
	scan->read = bounded_read_open(scan->consumer, topic->name);
	remember_ranges(topic->relid, scan->log, scan->npartitions);
}

/* Before the first row of a round. */
static void
start_round(TopicScan *scan)
{
	bool		anew = scan->ranges == NULL || scan->stale;
	MemoryContext old;

	if (anew)
	{
		MemoryContextReset(scan->value_context);
		old = MemoryContextSwitchTo(scan->value_context);
		pushdown_evaluate(scan->pushdown, scan->econtext);
		MemoryContextSwitchTo(old);
	}
	old = MemoryContextSwitchTo(scan->scan_context);
	if (scan->consumer == NULL)
		open_log(scan);
	if (anew)
		set_ranges(scan);
	bounded_read_start(scan->read, scan->ranges, scan->npartitions);
	row_reader_start(scan->rows, scan->read);
	MemoryContextSwitchTo(old);
	scan->begun = true;
	scan->stale = false;
}

/* Whether the engine wants this record left out. */
static bool
is_left_out(const TopicScan *scan, const KafkaRecord *record)
{
	return scan->bounds != NULL && position_set_has(&scan->bounds->without, record->partition, record->offset);
}

/* A record that is not a row: an ERROR, a WARNING, or only counted. */
static void
report_refusal(TopicScan *scan, const KafkaRecord *record, const Refusal *refusal)
{
	bool		stop = scan->topic->on_error == ON_ERROR_STOP;
	bool		check = strcmp(refusal->stage, "check") == 0;

	scan->undecodable++;
	if (!stop && (scan->engine || scan->undecodable > WARNINGS_PER_SCAN))
		return;
	ereport(stop ? ERROR : WARNING,
			(errcode(refusal->sqlstate),
			 check ? errmsg("record of topic \"%s\" violates a constraint", scan->topic->name)
			 : errmsg("could not decode record of topic \"%s\"", scan->topic->name),
			 errdetail("Partition %d, offset %lld: %s.%s%s",
					   record->partition, (long long) record->offset, refusal->message,
					   refusal->detail != NULL ? " " : "", refusal->detail != NULL ? refusal->detail : ""),
			 stop ? errhint("Set option on_error of the foreign table to dead_letter to leave such records out.") : 0));
}

TupleTableSlot *
topic_iterate_scan(ForeignScanState *node)
{
	TopicScan  *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	const KafkaRecord *record;
	const Refusal *refusal;

	ExecClearTuple(slot);
	if (!scan->begun)
		start_round(scan);
	while ((record = row_reader_next(scan->rows, slot->tts_values, slot->tts_isnull, &refusal)) != NULL)
	{
		scan->records++;
		if (!is_left_out(scan, record))
		{
			if (refusal == NULL)
				return ExecStoreVirtualTuple(slot);
			report_refusal(scan, record, refusal);
		}
		CHECK_FOR_INTERRUPTS();
	}
	return slot;
}

void
topic_rescan(ForeignScanState *node)
{
	TopicScan  *scan = node->fdw_state;

	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	scan->begun = false;
	if (node->ss.ps.chgParam != NULL)
		scan->stale = true;
}

void
topic_end_scan(ForeignScanState *node)
{
	TopicScan  *scan = node->fdw_state;

	if (scan == NULL || scan->scan_context == NULL)
		return;
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	if (scan->read != NULL)
		bounded_read_close(scan->read);
	if (scan->consumer != NULL)
		consumer_close(scan->consumer);
	if (!scan->engine && scan->undecodable > WARNINGS_PER_SCAN)
		ereport(WARNING,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%lld records of topic \"%s\" could not be decoded and were left out",
						(long long) scan->undecodable, scan->topic->name)));
	MemoryContextDelete(scan->scan_context);
	scan->scan_context = NULL;
}
