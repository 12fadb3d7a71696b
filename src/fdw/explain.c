/*
 * explain.c
 *		What EXPLAIN says about a scan of a topic, or an INSERT.
 *
 * Without ANALYZE nothing is asked of the broker: the topic, the conditions that
 * choose what is fetched, and, when their values are constants, the offsets they
 * leave.  With ANALYZE: the offsets read of each partition, and how many records
 * were read and could not be decoded.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "fdw/routine.h"
#include "fdw/scan.h"
#include "fdw/start.h"

/* The conditions the scan seeks by, as text. */
static void
explain_conditions(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	bool		prefix = es->verbose;	/* as for the other conditions of a scan */
	List	   *context;

	if (plan->fdw_exprs == NIL)
		return;
	context = set_deparse_context_plan(es->deparse_cxt, (Plan *) plan, NIL);
	ExplainPropertyText("Seek Cond",
						deparse_expression((Node *) make_ands_explicit(plan->fdw_exprs), context, prefix, false),
						es);
}

/* "partitions 0 to 3:": which ones are meant by first to last; PG_INT32_MAX: however many there are. */
static void
append_partitions(StringInfo text, int32 first, int32 last)
{
	if (text->len > 0)
		appendStringInfoString(text, "; ");
	if (last < PG_INT32_MAX)
		appendStringInfo(text, first == last ? "partition %d:" : "partitions %d to %d:", first, last);
	else if (first > 0)
		appendStringInfo(text, "partitions from %d:", first);
	else
		appendStringInfoString(text, "all partitions:");
}

/* "from offset 5 up to offset 9": a region that conditions leave. */
static void
append_region(StringInfo text, Region region)
{
	if (region.upto == region.from + 1)
	{
		appendStringInfo(text, " offset %lld", (long long) region.from);
		return;
	}
	if (region.from > 0)
		appendStringInfo(text, " from offset %lld", (long long) region.from);
	if (region.since > PG_INT64_MIN)
		appendStringInfo(text, " from timestamp %s",
						 timestamptz_to_str(time_from_milliseconds(region.since)));
	if (region.upto < PG_INT64_MAX)
		appendStringInfo(text, " up to offset %lld", (long long) region.upto - 1);
	else
		appendStringInfoString(text, " up to the end");
}

/*
 * Partitions with the same region, one group after the other.  Regions can differ
 * only at partitions that the conditions name, so those and their next neighbours
 * stand for all.
 */
static char *
describe_regions(const RangeNode *root)
{
	StringInfoData text;
	int			n;
	int32	   *named = range_named_partitions(root, &n);
	int32		first = 0;
	Region		region = range_of_partition(root, 0);

	initStringInfo(&text);
	for (int i = 0; i <= 2 * n; i++)
	{
		int32		next = i == 2 * n ? PG_INT32_MAX : named[i / 2] + i % 2;
		Region		after = range_of_partition(root, next);

		if (next < first || (i < 2 * n && region_equal(region, after)))
			continue;
		if (!region_is_empty(region) && (next > first || i == 2 * n))
		{
			append_partitions(&text, first, i == 2 * n ? PG_INT32_MAX : next - 1);
			append_region(&text, region);
		}
		first = next;
		region = after;
	}
	return text.len > 0 ? text.data : "none";
}

/* What constants leave of the partitions; nothing when values are known only later. */
static void
explain_regions(TopicScan *scan, ExplainState *es)
{
	if (pushdown_evaluate_constants(scan->pushdown))
		ExplainPropertyText("Offsets", describe_regions(scan->pushdown->root), es);
}

/* The offsets that were read. */
static void
explain_ranges(const TopicScan *scan, ExplainState *es)
{
	List	   *texts = NIL;
	int			read = 0;

	for (int i = 0; i < scan->npartitions; i++)
	{
		const ReadRange *range = &scan->ranges[i];

		if (range->from >= range->upto)
			continue;
		read++;
		texts = lappend(texts, psprintf("%d: %lld to %lld", range->partition,
										(long long) range->from, (long long) range->upto - 1));
	}
	ExplainPropertyText("Partitions", psprintf("%d of %d", read, scan->npartitions), es);
	if (texts != NIL)
		ExplainPropertyList("Offsets", texts, es);
}

void
topic_explain_scan(ForeignScanState *node, ExplainState *es)
{
	TopicScan  *scan = node->fdw_state;

	ExplainPropertyText("Topic", scan->topic->name, es);
	explain_conditions(node, es);
	if (!es->analyze)
		explain_regions(scan, es);
	else if (scan->ranges != NULL)
		explain_ranges(scan, es);
	if (!es->analyze)
		return;
	ExplainPropertyInteger("Records Read", NULL, scan->records, es);
	if (scan->undecodable > 0 || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyInteger("Records Undecodable", NULL, scan->undecodable, es);
}

void
topic_explain_modify(ModifyTableState *state, ResultRelInfo *info, List *fdw_private,
					 int subplan, ExplainState *es)
{
	const Topic *topic = topic_load(RelationGetRelid(info->ri_RelationDesc), InvalidOid);

	ExplainPropertyText("Topic", topic->name, es);
}
