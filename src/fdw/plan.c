/*
 * plan.c
 *		Planning a scan of a topic.
 *
 * In goes a base relation with its restrictions, out comes one path and its plan:
 * all restrictions stay quals; those about partition, offset and timestamp are
 * given to the scan a second time, in fdw_exprs, to choose what it fetches.
 * fdw_private holds the columns that the query needs: only they are decoded.
 *
 * There is nothing to choose between, so estimates serve the joins above: records
 * from what the last scan saw (estimate.c), or a guess; the broker is not asked.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"

#include "compat.h"
#include "fdw/pushdown.h"
#include "fdw/routine.h"

#define GUESSED_RECORDS		100000.0	/* in a topic never scanned by this backend */
#define CONNECT_COST		1000.0	/* to find the broker, the partitions and their ends */
#define RECORD_COST			0.02	/* to fetch and decode a record */

/* What planning of one scan passes from callback to callback, in rel->fdw_private. */
typedef struct ScanPlan
{
	Topic	   *topic;
	List	   *seek_clauses;	/* bare expressions */
	double		records;		/* to be fetched */
} ScanPlan;

/* The restrictions that the scan can use to choose what to fetch. */
static List *
find_seek_clauses(const RelOptInfo *rel, const Topic *topic)
{
	List	   *clauses = NIL;
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);

		if (!restriction->pseudoconstant &&
			pushdown_understands(restriction->clause, rel->relid, topic))
			clauses = lappend(clauses, restriction->clause);
	}
	return clauses;
}

/* Records within the regions of the last ranges known; all of them when values are not known yet. */
static double
count_records(const ScanPlan *plan, Index relid, bool *sought)
{
	Pushdown   *pushdown = pushdown_build(plan->seek_clauses, relid, plan->topic);
	int			n;
	const KafkaRange *ranges = known_ranges(plan->topic->relid, &n);
	double		records = 0;

	*sought = false;
	if (ranges == NULL)
		return GUESSED_RECORDS;
	*sought = pushdown_evaluate_constants(pushdown);
	for (int i = 0; i < n; i++)
	{
		Region		log = {ranges[i].low, ranges[i].high, PG_INT64_MIN};

		if (*sought)
			log = region_intersect(log, range_of_partition(pushdown->root, ranges[i].partition));
		if (!region_is_empty(log))
			records += log.upto - log.from;
	}
	return records;
}

/* The restrictions whose effect count_records() has not counted. */
static List *
uncounted_restrictions(const RelOptInfo *rel, const ScanPlan *plan, bool sought)
{
	List	   *restrictions = NIL;
	ListCell   *cell;

	if (!sought)
		return rel->baserestrictinfo;
	foreach(cell, rel->baserestrictinfo)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);

		if (!list_member_ptr(plan->seek_clauses, restriction->clause))
			restrictions = lappend(restrictions, restriction);
	}
	return restrictions;
}

void
topic_get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	ScanPlan   *plan = palloc(sizeof(ScanPlan));
	bool		sought;

	plan->topic = topic_load(relid, GetUserId());
	plan->seek_clauses = find_seek_clauses(rel, plan->topic);
	plan->records = count_records(plan, rel->relid, &sought);
	rel->fdw_private = plan;
	rel->tuples = clamp_row_est(plan->records);
	rel->rows = clamp_row_est(rel->tuples *
							  clauselist_selectivity(root, uncounted_restrictions(rel, plan, sought),
													 rel->relid, JOIN_INNER, NULL));
}

void
topic_get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	const ScanPlan *plan = rel->fdw_private;
	Cost		startup = CONNECT_COST + rel->baserestrictcost.startup;
	Cost		total = startup + plan->records *
		(RECORD_COST + cpu_tuple_cost + rel->baserestrictcost.per_tuple);

	add_path(rel, (Path *) create_foreignscan_path(root, rel, NULL, rel->rows, 0, startup, total,
												   NIL, rel->lateral_relids, NULL, NIL, NIL));
}

/* Attribute numbers that target list and restrictions read. */
static List *
needed_columns(const RelOptInfo *rel)
{
	Bitmapset  *attributes = NULL;
	List	   *columns = NIL;
	ListCell   *cell;
	int			member = -1;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &attributes);
	foreach(cell, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause, rel->relid, &attributes);
	while ((member = bms_next_member(attributes, member)) >= 0)
	{
		int			column = member + FirstLowInvalidHeapAttributeNumber;

		if (column >= 0)
			columns = lappend_int(columns, column);
	}
	return columns;
}

ForeignScan *
topic_get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
			   List *tlist, List *clauses, Plan *outer_plan)
{
	const ScanPlan *plan = rel->fdw_private;

	return make_foreignscan(tlist, extract_actual_clauses(clauses, false), rel->relid,
							plan->seek_clauses, list_make1(needed_columns(rel)),
							NIL, NIL, outer_plan);
}
