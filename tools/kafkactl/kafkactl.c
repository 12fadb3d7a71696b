/*
 * kafkactl.c
 *		What tests, the demo and benchmarks ask of a broker, without a JVM.
 *
 *	kafkactl BROKERS create TOPIC PARTITIONS [name=value ...]
 *	kafkactl BROKERS delete TOPIC
 *	kafkactl BROKERS grow TOPIC PARTITIONS		now so many partitions
 *	kafkactl BROKERS trim TOPIC PARTITION OFFSET	records before it are gone
 *	kafkactl BROKERS config TOPIC name=value ...	replaces the topic's settings
 *	kafkactl BROKERS ends TOPIC			prints "partition low high" per partition
 *	kafkactl BROKERS produce TOPIC [name=value ...]	records from standard input
 *
 * produce reads a record a line: partition, key, value, and any headers as
 * name=value, separated by tabs.  Partition -1 lets the partitioner choose; \N is
 * a null key or value.  With transactional.id set, the lines \begin, \commit and
 * \abort make transactions; \flush waits for acknowledgements.  Every name=value
 * is an option of the client.  It ends with the number of records acknowledged,
 * and with status 1 when one was not.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#define TIMEOUT_MS 30000

static long acknowledged = 0;
static long refused = 0;

/* Prints why and ends. */
static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *format,...)
{
	va_list		args;

	fprintf(stderr, "kafkactl: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

/* Ends when the library reports an error object. */
static void
check(rd_kafka_error_t *error, const char *doing)
{
	if (error != NULL)
		fail("%s: %s", doing, rd_kafka_error_string(error));
}

/* A delivery report: counts. */
static void
delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	(void) client;
	(void) opaque;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		acknowledged++;
	else if (message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
		return;					/* aborting a transaction drops what was not sent yet */
	else if (refused++ == 0)
		fprintf(stderr, "kafkactl: %s\n", rd_kafka_err2str(message->err));
}

/* Sets options given as name=value. */
static void
set_options(rd_kafka_conf_t *conf, char **options, int n)
{
	char		why[512];

	for (int i = 0; i < n; i++)
	{
		char	   *equals = strchr(options[i], '=');

		if (equals == NULL)
			fail("\"%s\" is not name=value", options[i]);
		*equals = '\0';
		if (rd_kafka_conf_set(conf, options[i], equals + 1, why, sizeof(why)) != RD_KAFKA_CONF_OK)
			fail("%s", why);
	}
}

/* A producer, which also serves the admin calls. */
static rd_kafka_t *
connect_to(const char *brokers, char **options, int n)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *client;
	char		why[512];

	if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof(why)) != RD_KAFKA_CONF_OK ||
		rd_kafka_conf_set(conf, "linger.ms", "5", why, sizeof(why)) != RD_KAFKA_CONF_OK)
		fail("%s", why);
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	set_options(conf, options, n);
	client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (client == NULL)
		fail("%s", why);
	return client;
}

/* Waits for an admin call's answer. */
static rd_kafka_event_t *
admin_answer(rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, TIMEOUT_MS);

	if (event == NULL)
		fail("no answer from the broker");
	if (rd_kafka_event_error(event))
		fail("%s", rd_kafka_event_error_string(event));
	return event;
}

/* Ends when any topic of an answer has an error. */
static void
check_topics(const rd_kafka_topic_result_t **topics, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (rd_kafka_topic_result_error(topics[i]))
			fail("topic \"%s\": %s", rd_kafka_topic_result_name(topics[i]),
				 rd_kafka_topic_result_error_string(topics[i]));
	}
}

static void
create_topic(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *topic, int argc, char **argv)
{
	char		why[512];
	rd_kafka_NewTopic_t *new_topic = rd_kafka_NewTopic_new(topic, atoi(argv[0]), 1, why, sizeof(why));
	rd_kafka_event_t *event;
	size_t		n;

	if (new_topic == NULL)
		fail("%s", why);
	for (int i = 1; i < argc; i++)
	{
		char	   *equals = strchr(argv[i], '=');

		if (equals == NULL)
			fail("\"%s\" is not name=value", argv[i]);
		*equals = '\0';
		rd_kafka_NewTopic_set_config(new_topic, argv[i], equals + 1);
	}
	rd_kafka_CreateTopics(client, &new_topic, 1, NULL, queue);
	event = admin_answer(queue);
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);

	check_topics(results, n);
	rd_kafka_event_destroy(event);
	rd_kafka_NewTopic_destroy(new_topic);
}

static void
delete_topic(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *topic)
{
	rd_kafka_DeleteTopic_t *old_topic = rd_kafka_DeleteTopic_new(topic);
	rd_kafka_event_t *event;
	size_t		n;

	rd_kafka_DeleteTopics(client, &old_topic, 1, NULL, queue);
	event = admin_answer(queue);
	const rd_kafka_topic_result_t **results =
		rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &n);

	check_topics(results, n);
	rd_kafka_event_destroy(event);
	rd_kafka_DeleteTopic_destroy(old_topic);
}

static void
grow_topic(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *topic, int partitions)
{
	char		why[512];
	rd_kafka_NewPartitions_t *more = rd_kafka_NewPartitions_new(topic, partitions, why, sizeof(why));
	rd_kafka_event_t *event;
	size_t		n;

	if (more == NULL)
		fail("%s", why);
	rd_kafka_CreatePartitions(client, &more, 1, NULL, queue);
	event = admin_answer(queue);
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &n);

	check_topics(results, n);
	rd_kafka_event_destroy(event);
	rd_kafka_NewPartitions_destroy(more);
}

static void
trim_partition(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *topic, int partition, long long offset)
{
	rd_kafka_topic_partition_list_t *before = rd_kafka_topic_partition_list_new(1);
	rd_kafka_DeleteRecords_t *request;
	rd_kafka_event_t *event;
	const rd_kafka_topic_partition_list_t *after;

	rd_kafka_topic_partition_list_add(before, topic, partition)->offset = offset;
	request = rd_kafka_DeleteRecords_new(before);
	rd_kafka_DeleteRecords(client, &request, 1, NULL, queue);
	event = admin_answer(queue);
	after = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
	if (after->elems[0].err)
		fail("%s", rd_kafka_err2str(after->elems[0].err));
	rd_kafka_event_destroy(event);
	rd_kafka_DeleteRecords_destroy(request);
	rd_kafka_topic_partition_list_destroy(before);
}

static void
configure_topic(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *topic, int argc, char **argv)
{
	rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
	rd_kafka_event_t *event;
	size_t		n;

	for (int i = 0; i < argc; i++)
	{
		char	   *equals = strchr(argv[i], '=');

		if (equals == NULL)
			fail("\"%s\" is not name=value", argv[i]);
		*equals = '\0';
		rd_kafka_ConfigResource_set_config(resource, argv[i], equals + 1);
	}
	rd_kafka_AlterConfigs(client, &resource, 1, NULL, queue);
	event = admin_answer(queue);
	const rd_kafka_ConfigResource_t **results =
		rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &n);

	for (size_t i = 0; i < n; i++)
	{
		if (rd_kafka_ConfigResource_error(results[i]))
			fail("%s", rd_kafka_ConfigResource_error_string(results[i]));
	}
	rd_kafka_event_destroy(event);
	rd_kafka_ConfigResource_destroy(resource);
}

static void
print_ends(rd_kafka_t *client, const char *topic)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err = rd_kafka_metadata(client, 0, handle, &metadata, TIMEOUT_MS);

	if (err)
		fail("%s", rd_kafka_err2str(err));
	for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
	{
		int32_t		partition = metadata->topics[0].partitions[i].id;
		int64_t		low,
					high;

		err = rd_kafka_query_watermark_offsets(client, topic, partition, &low, &high, TIMEOUT_MS);
		if (err)
			fail("%s", rd_kafka_err2str(err));
		printf("%d %lld %lld\n", partition, (long long) low, (long long) high);
	}
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(handle);
}

/* The next tab-separated field, or NULL behind the last; \N gives a field that is NULL with *null set. */
static char *
next_field(char **rest, bool *null)
{
	char	   *field = strsep(rest, "\t");

	*null = field != NULL && strcmp(field, "\\N") == 0;
	return field;
}

/* Queues one line's record, waiting while the queue is full. */
static void
send_line(rd_kafka_t *client, const char *topic, char *line)
{
	bool		no_key,
				no_value,
				ignored;
	char	   *partition = next_field(&line, &ignored);
	char	   *key = next_field(&line, &no_key);
	char	   *value = next_field(&line, &no_value);
	char	   *header;
	rd_kafka_headers_t *headers = rd_kafka_headers_new(0);
	rd_kafka_resp_err_t err;

	if (value == NULL)
		fail("a line needs partition, key and value, separated by tabs");
	while ((header = next_field(&line, &ignored)) != NULL)
	{
		char	   *equals = strchr(header, '=');

		if (equals == NULL)
			fail("header \"%s\" is not name=value", header);
		rd_kafka_header_add(headers, header, equals - header, equals + 1, strlen(equals + 1));
	}
	do
	{
		rd_kafka_headers_t *copy = rd_kafka_headers_copy(headers);

		err = rd_kafka_producev(client,
								RD_KAFKA_V_TOPIC(topic),
								RD_KAFKA_V_PARTITION(atoi(partition)),
								RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								RD_KAFKA_V_KEY(no_key ? NULL : key, no_key ? 0 : strlen(key)),
								RD_KAFKA_V_VALUE(no_value ? NULL : value, no_value ? 0 : strlen(value)),
								RD_KAFKA_V_HEADERS(copy),
								RD_KAFKA_V_END);
		if (err)
			rd_kafka_headers_destroy(copy);
		rd_kafka_poll(client, err == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 100 : 0);
	} while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
	if (err)
		fail("%s", rd_kafka_err2str(err));
	rd_kafka_headers_destroy(headers);
}

/* Does what a line beginning with a backslash and a word says; false when it is none. */
static bool
run_command(rd_kafka_t *client, const char *line)
{
	if (strcmp(line, "\\begin") == 0)
		check(rd_kafka_begin_transaction(client), "begin");
	else if (strcmp(line, "\\commit") == 0)
		check(rd_kafka_commit_transaction(client, TIMEOUT_MS), "commit");
	else if (strcmp(line, "\\abort") == 0)
	{
		/* what is not in the log yet would just be dropped: no aborted records there */
		rd_kafka_flush(client, TIMEOUT_MS);
		check(rd_kafka_abort_transaction(client, TIMEOUT_MS), "abort");
	}
	else if (strcmp(line, "\\flush") == 0)
		rd_kafka_flush(client, TIMEOUT_MS);
	else
		return false;
	return true;
}

static void
produce(rd_kafka_t *client, const char *topic, bool transactional)
{
	char	   *line = NULL;
	size_t		size = 0;
	ssize_t		len;

	if (transactional)
		check(rd_kafka_init_transactions(client, TIMEOUT_MS), "init transactions");
	while ((len = getline(&line, &size, stdin)) > 0)
	{
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		if (!run_command(client, line))
			send_line(client, topic, line);
	}
	free(line);
	rd_kafka_flush(client, TIMEOUT_MS);
	refused += rd_kafka_outq_len(client);
	printf("%ld\n", acknowledged);
}

int
main(int argc, char **argv)
{
	const char *command = argc > 3 ? argv[2] : "";
	bool		producing = strcmp(command, "produce") == 0;
	bool		transactional = false;
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;

	if (argc < 4)
	{
		fprintf(stderr, "usage: kafkactl BROKERS create|delete|grow|trim|config|ends|produce TOPIC ...\n");
		return 2;
	}
	for (int i = 4; i < argc; i++)
		transactional |= producing && strncmp(argv[i], "transactional.id=", 17) == 0;
	client = connect_to(argv[1], argv + 4, producing ? argc - 4 : 0);
	queue = rd_kafka_queue_new(client);
	argc -= 4;
	if (strcmp(command, "create") == 0 && argc >= 1)
		create_topic(client, queue, argv[3], argc, argv + 4);
	else if (strcmp(command, "delete") == 0)
		delete_topic(client, queue, argv[3]);
	else if (strcmp(command, "grow") == 0 && argc == 1)
		grow_topic(client, queue, argv[3], atoi(argv[4]));
	else if (strcmp(command, "trim") == 0 && argc == 2)
		trim_partition(client, queue, argv[3], atoi(argv[4]), atoll(argv[5]));
	else if (strcmp(command, "config") == 0 && argc >= 1)
		configure_topic(client, queue, argv[3], argc, argv + 4);
	else if (strcmp(command, "ends") == 0)
		print_ends(client, argv[3]);
	else if (producing)
		produce(client, argv[3], transactional);
	else
		fail("unrecognized command \"%s\", or wrong number of arguments", command);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(client);
	return refused > 0;
}
