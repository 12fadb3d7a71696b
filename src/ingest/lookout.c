/*
 * lookout.c
 *		What the broker says about the log's ends: new partitions, lost offsets.
 *
 * Asked when a pipeline starts, every discovery_interval, and when the consumer
 * reports that an offset is gone; on a handle of its own, because questions on the
 * consuming one wait behind its fetches.
 *
 *	 next < low				[next, low) was removed before it was read: pause
 *	 next > high			the log is shorter than what was read: truncated, or the
 *							topic was made anew; pause when two looks agree, since a
 *							new leader may tell an old end for a moment
 *	 partition gone			the topic was made anew: pause
 *	 partition unknown		added: read from its beginning
 *
 * Nothing is skipped and nothing is read again without somebody's decision:
 * deltaflow.set_position() is that decision.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ingest/pipeline.h"

#define ANSWER_TIMEOUT_MS	5000
#define SECOND_LOOK_MS		2000

/* The hint that names the decision to take. */
static char *
decision_hint(const Pipeline *pipeline, int32 partition, int64 offset)
{
	const char *name = quote_literal_cstr(pipeline->row->name);

	return psprintf("To go on at offset " INT64_FORMAT ": SELECT deltaflow.set_position(%s, %d, " INT64_FORMAT
					"), deltaflow.resume(%s).", offset, name, partition, offset, name);
}

/* Pauses when a partition's next offset is not in the log; true when it did, or must look again. */
static bool
check_range(Pipeline *pipeline, const Partition *partition, const KafkaRange *range, bool *again)
{
	int64		next = partition->committed.next_offset;
	int32		number = partition->committed.partition;

	if (next < range->low)
	{
		pipeline_pause(pipeline, STATE_PAUSED,
					   psprintf("offsets [" INT64_FORMAT ", " INT64_FORMAT ") of partition %d were removed from topic \"%s\" before they were read",
								next, range->low, number, pipeline->topic->name),
					   decision_hint(pipeline, number, range->low));
		return true;
	}
	if (next <= range->high)
		return false;
	if (++pipeline->suspicion < 2)
	{
		*again = true;
		return false;
	}
	pipeline_pause(pipeline, STATE_PAUSED,
				   psprintf("partition %d of topic \"%s\" ends at offset " INT64_FORMAT ", before the next one to read, " INT64_FORMAT ": it was truncated, or the topic was created anew",
							number, pipeline->topic->name, range->high, next),
				   decision_hint(pipeline, number, range->low));
	return true;
}

/* The range of a partition, NULL when the topic has none of that number. */
static const KafkaRange *
range_of(const KafkaRange *ranges, int nranges, int32 partition)
{
	for (int i = 0; i < nranges; i++)
		if (ranges[i].partition == partition)
			return &ranges[i];
	return NULL;
}

/* Checks every partition of the pipeline; true when it is paused now. */
static bool
check_partitions(Pipeline *pipeline, const KafkaRange *ranges, int nranges, bool *again)
{
	for (int i = 0; i < pipeline->npartitions; i++)
	{
		int32		number = pipeline->partitions[i].committed.partition;
		const KafkaRange *range = range_of(ranges, nranges, number);

		if (range != NULL)
		{
			if (check_range(pipeline, &pipeline->partitions[i], range, again))
				return true;
			continue;
		}
		pipeline_pause(pipeline, STATE_PAUSED,
					   psprintf("topic \"%s\" has no partition %d any more: it was created anew",
								pipeline->topic->name, number),
					   psprintf("SELECT deltaflow.drop_ingest(%s) and create it again to read the new topic.",
								quote_literal_cstr(pipeline->row->name)));
		return true;
	}
	return false;
}

/* Ranges of partitions that the pipeline does not know. */
typedef struct NewPartitions
{
	const KafkaRange *ranges;
	int			n;
	int			added;
} NewPartitions;

/* Adds them with their beginning as next offset. */
static void
add_partitions(Pipeline *pipeline, void *argument)
{
	NewPartitions *new = argument;

	if (!pipeline_begin_epoch(pipeline->row->id, pipeline->row->epoch, pipeline->row->generation))
		return;
	for (int i = 0; i < new->n; i++)
	{
		const KafkaRange *range = &new->ranges[i];

		if (pipeline_partition(pipeline, range->partition) != NULL)
			continue;
		position_insert(pipeline->row->id, range->partition, range->low);
		new->added++;
	}
	if (new->added > 0)
		pipeline_changed(pipeline->row->id);
}

/* Whether the broker tells of a partition that the pipeline does not know. */
static bool
has_unknown(const Pipeline *pipeline, const KafkaRange *ranges, int nranges)
{
	for (int i = 0; i < nranges; i++)
		if (pipeline_partition(unconstify(Pipeline *, pipeline), ranges[i].partition) == NULL)
			return true;
	return false;
}

/* Asks the broker; NULL, and trouble noted, when it does not answer. */
KafkaRange *
lookout_ask(Pipeline *pipeline, int *n)
{
	MemoryContext caller = CurrentMemoryContext;
	KafkaRange *volatile ranges = NULL;

	if (pipeline->lookout == NULL)
	{
		MemoryContextSwitchTo(pipeline->context);
		pipeline->lookout = consumer_open(pipeline->topic->name, pipeline->topic->options,
										  pipeline->topic->noptions);
		MemoryContextSwitchTo(caller);
	}
	if (pipeline->nested)
		return consumer_ranges(pipeline->lookout, n, ANSWER_TIMEOUT_MS);
	PG_TRY();
	{
		ranges = consumer_ranges(pipeline->lookout, n, ANSWER_TIMEOUT_MS);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		ereport(LOG,
				(errmsg("could not ask the broker about topic \"%s\": %s", pipeline->topic->name, error->message)));
		pipeline_trouble(pipeline, error->message, "It is tried again; check the server's options and the broker.");
	}
	PG_END_TRY();
	return ranges;
}

/*
 * One look.  EPOCH_COMMITTED: all is well (or the broker did not answer).  The
 * ranges are given to whoever wants them; palloc'd in the current context.
 */
EpochOutcome
lookout_look(Pipeline *pipeline, KafkaRange **ranges, int *nranges)
{
	TimestampTz now = GetCurrentTimestamp();
	NewPartitions new = {0};
	bool		again = false;
	ErrorData  *error;

	pipeline->lookout_at = TimestampTzPlusMilliseconds(now, pipeline->options.discovery_interval * 1000L);
	*ranges = lookout_ask(pipeline, nranges);
	if (*ranges == NULL)
		return EPOCH_COMMITTED;
	if (check_partitions(pipeline, *ranges, *nranges, &again))
		return EPOCH_PAUSED;
	if (again)
		pipeline->lookout_at = TimestampTzPlusMilliseconds(now, pipeline->nested ? 0 : SECOND_LOOK_MS);
	else
	{
		pipeline->suspicion = 0;
		pipeline_trouble(pipeline, NULL, NULL);
	}
	if (!has_unknown(pipeline, *ranges, *nranges))
		return EPOCH_COMMITTED;

	new.ranges = *ranges;
	new.n = *nranges;
	error = pipeline_unit(pipeline, add_partitions, &new, pipeline->retry);
	return error != NULL ? pipeline_failed(pipeline, error) : EPOCH_RELOAD;
}

/* What a fault of the consumer means for the pipeline. */
EpochOutcome
lookout_fault(Pipeline *pipeline, const KafkaFault *fault)
{
	KafkaRange *ranges;
	int			nranges;
	EpochOutcome outcome;

	switch (fault->kind)
	{
		case KAFKA_NO_FAULT:
			return EPOCH_COMMITTED;
		case KAFKA_OFFSET_LOST:
			outcome = lookout_look(pipeline, &ranges, &nranges);
			if (outcome == EPOCH_COMMITTED && ranges != NULL && pipeline->suspicion > 0)
				outcome = lookout_look(pipeline, &ranges, &nranges);
			/* the log has the offset after all: only this fetch failed */
			return outcome == EPOCH_COMMITTED ? EPOCH_RELOAD : outcome;
		case KAFKA_BROKEN:
			pipeline_trouble(pipeline, fault->message, "The connection is made anew; the server's log has the details.");
			return EPOCH_RELOAD;
		case KAFKA_BROKER_AWAY:
			pipeline_trouble(pipeline, fault->message, "Reading goes on by itself when the broker is back.");
			return EPOCH_COMMITTED;
		case KAFKA_TOPIC_MISSING:
			pipeline_trouble(pipeline, fault->message, "Create the topic, or drop the ingest.");
			return EPOCH_COMMITTED;
		case KAFKA_REFUSED:
			pipeline_trouble(pipeline, fault->message,
							 "Correct the options of the server or the user mapping; they are read again at once.");
			return EPOCH_COMMITTED;
	}
	return EPOCH_COMMITTED;
}
