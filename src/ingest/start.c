/*
 * start.c
 *		Where a pipeline begins, settled once and for all when it is made.
 *
 * `latest` and times are turned into offsets before CREATE returns, and stored
 * with the pipeline in the same transaction: what arrives a moment later is not
 * lost, and a restart cannot mean something else.  A partition that the result
 * does not name (offsets were given for others only, or it is created later) is
 * found by the pipeline itself and read from its beginning.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "fdw/start.h"
#include "ingest/start.h"
#include "kafka/consumer.h"

#define ANSWER_TIMEOUT_MS	10000	/* for each question to the broker */

/* Asks the broker: one position per partition of the topic. */
static KafkaPosition *
resolve_with_broker(const Topic *topic, const Start *start, int *n)
{
	KafkaConsumer *consumer = consumer_open(topic->name, topic->options, topic->noptions);
	KafkaRange *ranges = consumer_ranges(consumer, n, ANSWER_TIMEOUT_MS);
	KafkaPosition *positions = palloc(sizeof(KafkaPosition) * Max(*n, 1));

	for (int i = 0; i < *n; i++)
	{
		positions[i].partition = ranges[i].partition;
		positions[i].offset = start->kind == START_LATEST ? ranges[i].high : ranges[i].low;
	}
	if (start->kind == START_TIME)
		consumer_offsets_for_time(consumer, positions, *n, kafka_milliseconds(start->time), ANSWER_TIMEOUT_MS);
	consumer_close(consumer);
	return positions;
}

KafkaPosition *
start_resolve(const Topic *topic, const char *text, int *n)
{
	Start		start;

	if (!start_parse(text, &start))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid start \"%s\"", text),
				 errhint("A start is %s.", START_VALUES)));
	if (start.kind != START_OFFSETS)
		return resolve_with_broker(topic, &start, n);
	*n = start.npositions;
	return start.positions;
}

int64
pipeline_create(const PipelineRow *row, Oid userid)
{
	Topic	   *topic = topic_load(row->topic, userid);
	int			n;
	KafkaPosition *positions = start_resolve(topic, row->start_at, &n);
	int64		id = pipeline_insert(row);

	for (int i = 0; i < n; i++)
		position_insert(id, positions[i].partition, positions[i].offset);
	return id;
}
