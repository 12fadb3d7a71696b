/*
 * catch_up.c
 *		wait(): read your writes.
 *
 * In: an ingest or view, a time limit.  The end offsets of the topic are asked for
 * once, at the call.  Out: true as soon as the committed positions are past them
 * and, for a view, the view takes part in its pipeline's epochs.
 *
 * Runs in the caller's transaction, and every look has a snapshot of its own,
 * which READ COMMITTED allows; under REPEATABLE READ the positions would never
 * move, so that is refused.  Between looks it sleeps on a condition that workers
 * broadcast at each commit.  Holds no lock.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog/catalog.h"
#include "compat.h"
#include "ingest/relation.h"
#include "fdw/topic.h"
#include "kafka/consumer.h"
#include "worker/catch_up.h"
#include "worker/control.h"
#include "worker/slots.h"
#include "worker/wake.h"

#define BROKER_TIMEOUT_MS	10000
#define BROKER_LEAST_MS		5000	/* a short wait is about commits: a broker is given time to answer */
#define STEP_MS				100 /* looks even when nobody broadcasts: commits of run_once() */

/* What is waited for. */
typedef struct CatchUp
{
	const NamedObject *object;
	KafkaRange *ends;			/* of the topic when called */
	int			nends;
} CatchUp;

/* Whoever may read the result may wait for it. */
static void
check_reader(const NamedObject *object)
{
	Oid			relid = object_relation(object);
	AclResult	result = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

/* The topic's ends now, asked for with the credentials of the pipeline's owner. */
static void
ask_ends(CatchUp *wait, int64 timeout_ms)
{
	const PipelineRow *row = wait->object->pipeline;
	Oid			owner = relation_owner(OidIsValid(row->target) ? row->target : row->topic);
	Topic	   *topic = topic_load(row->topic, owner);
	KafkaConsumer *consumer = consumer_open(topic->name, topic->options, topic->noptions);

	wait->ends = consumer_ranges(consumer, &wait->nends,
								 (int) Max(BROKER_LEAST_MS, Min(timeout_ms, BROKER_TIMEOUT_MS)));
	consumer_close(consumer);
}

/* Whether the pipeline's committed positions are past the ends. */
static bool
positions_reached(const CatchUp *wait)
{
	List	   *positions = position_list(wait->object->pipeline->id);

	for (int i = 0; i < wait->nends; i++)
	{
		const KafkaRange *end = &wait->ends[i];
		bool		reached = end->high <= end->low;	/* an empty partition may be unknown yet */
		ListCell   *lc;

		foreach(lc, positions)
		{
			const PositionRow *position = lfirst(lc);

			if (position->partition == end->partition)
				reached = position->next_offset >= end->high;
		}
		if (!reached)
			return false;
	}
	return true;
}

/* One look at what is committed now. */
static bool
caught_up(const CatchUp *wait)
{
	const NamedObject *object = wait->object;
	ViewRow    *view;

	if (object->view != NULL)
	{
		view = view_by_live(object->view->live);
		if (view == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("the view was dropped while it was waited for")));
		if (view->state != STATE_RUNNING)
			return false;
	}
	return positions_reached(wait);
}

/* Says why waiting may be in vain. */
static void
notice_obstacle(const NamedObject *object)
{
	const char *name = object->pipeline->name;
	RunState	state = object->pipeline->state;

	if (state == STATE_RUNNING && object->view != NULL)
	{
		state = object->view->state;
		name = get_rel_name(object->view->live);
	}
	if (state == STATE_PAUSED || state == STATE_FAILED)
		ereport(NOTICE,
				(errmsg("\"%s\" is %s", name, state == STATE_PAUSED ? "paused" : "failed"),
				 errhint("Call deltaflow.resume('%s').", name)));
}

static void
refuse_fixed_snapshot(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot wait in a transaction with isolation level REPEATABLE READ or SERIALIZABLE"),
				 errdetail("Its snapshot does not see what is committed meanwhile."),
				 errhint("Call deltaflow.wait before such a transaction begins.")));
}

static void
refuse_without_workers(const NamedObject *object)
{
	if (!workers_possible())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no worker processes \"%s\"", object->pipeline->name),
				 errdetail("The server does not preload deltaflow."),
				 errhint("Add deltaflow to shared_preload_libraries and restart the server, or call deltaflow.run_once('%s').",
						 object->pipeline->name)));
}

/* Looks until it is so, or the time is over. */
static bool
look_until(const CatchUp *wait, TimestampTz deadline)
{
	MemoryContext look = AllocSetContextCreate(CurrentMemoryContext, "deltaflow wait", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(look);
	bool		done;

	commit_prepare_wait();
	while (!(done = caught_up(wait)))
	{
		long		rest = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (rest <= 0)
			break;
		commit_wait(Min(rest, STEP_MS));
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(look);
	}
	commit_end_wait();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(look);
	return done;
}

bool
catch_up(const NamedObject *object, int64 timeout_ms)
{
	CatchUp		wait = {.object = object};
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);

	refuse_fixed_snapshot();
	check_reader(object);
	ask_ends(&wait, timeout_ms);
	if (caught_up(&wait))
		return true;
	refuse_without_workers(object);
	notice_obstacle(object);
	return look_until(&wait, deadline);
}
