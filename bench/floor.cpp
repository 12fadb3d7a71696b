/*
 * floor.cpp
 *		What the machine allows: the same topic read by a program that keeps nothing.
 *
 *	floor BROKERS TOPIC drain		take every record, do nothing with it
 *	floor BROKERS TOPIC view		count, sum and max of price per auction and 10 seconds
 *
 * librdkafka, simdjson and a hash table, one thread beside the library's own.  It
 * reads from the beginning to the end offsets at its start and prints: records,
 * seconds, CPU seconds (all threads), groups, sum of prices.  Settings of the client
 * are those that measured best (small fetches; a queue that does not stall).
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <vector>

#include <sys/resource.h>

#include <librdkafka/rdkafka.h>
#include <simdjson.h>

namespace
{

struct Group
{
	int64_t		auction;
	int64_t		window;			/* number of the 10 seconds */
	int64_t		count;			/* 0: free */
	int64_t		sum;
	int64_t		max;
};

/* Open addressing, doubled when half full. */
class Groups
{
public:
	Groups() : slots(1 << 16) {}

	void fold(int64_t auction, int64_t window, int64_t price)
	{
		Group	   &group = find(auction, window);

		if (group.count == 0)
		{
			group = {auction, window, 0, 0, INT64_MIN};
			used++;
		}
		group.count++;
		group.sum += price;
		if (price > group.max)
			group.max = price;
		if (used * 2 > slots.size())
			grow();
	}

	size_t size() const { return used; }

	int64_t total() const
	{
		int64_t		sum = 0;

		for (const Group &group : slots)
			sum += group.sum;
		return sum;
	}

private:
	std::vector<Group> slots;
	size_t		used = 0;

	Group &find(int64_t auction, int64_t window)
	{
		uint64_t	hash = ((uint64_t) auction * 0x9E3779B97F4A7C15ULL) ^ ((uint64_t) window * 0xC2B2AE3D27D4EB4FULL);
		size_t		i = (hash ^ (hash >> 32)) & (slots.size() - 1);

		while (slots[i].count != 0 && (slots[i].auction != auction || slots[i].window != window))
			i = (i + 1) & (slots.size() - 1);
		return slots[i];
	}

	void grow()
	{
		std::vector<Group> old(slots.size() * 2);

		old.swap(slots);
		for (const Group &group : old)
		{
			if (group.count != 0)
				find(group.auction, group.window) = group;
		}
	}
};

int
two_digits(const char *text)
{
	return (text[0] - '0') * 10 + (text[1] - '0');
}

/* Number of the 10 seconds of "2026-01-01 00:00:00.000", within the month. */
int64_t
window_of(std::string_view time)
{
	const char *t = time.data();
	int64_t		day = two_digits(t + 5) * 31 + two_digits(t + 8);

	return ((day * 24 + two_digits(t + 11)) * 60 + two_digits(t + 14)) * 6 + two_digits(t + 17) / 10;
}

/* One record into the groups; records that are no bids count for nothing. */
class View
{
public:
	Groups		groups;

	void take(const char *payload, size_t len)
	{
		simdjson::ondemand::document document;
		int64_t		type,
					auction,
					price;
		std::string_view time;

		if (buffer.size() < len + simdjson::SIMDJSON_PADDING)
			buffer.resize(2 * len + simdjson::SIMDJSON_PADDING);
		memcpy(buffer.data(), payload, len);
		if (parser.iterate(buffer.data(), len, buffer.size()).get(document) ||
			document["event_type"].get(type) || type != 2)
			return;
		simdjson::ondemand::object bid;

		if (document["bid"].get(bid) || bid["auction"].get(auction) || bid["price"].get(price) || bid["dateTime"].get(time))
			return;
		groups.fold(auction, window_of(time), price);
	}

private:
	simdjson::ondemand::parser parser;
	std::vector<char> buffer;
};

[[noreturn]] void
fail(const char *why)
{
	fprintf(stderr, "floor: %s\n", why);
	exit(1);
}

rd_kafka_t *
connect_to(const char *brokers)
{
	const char *options[][2] = {
		{"bootstrap.servers", brokers}, {"group.id", "floor"}, {"enable.auto.commit", "false"},
		{"enable.partition.eof", "true"}, {"auto.offset.reset", "error"}, {"check.crcs", "false"},
		{"queued.max.messages.kbytes", "65536"}, {"queued.min.messages", "10000000"},
		{"max.partition.fetch.bytes", "524288"}, {"fetch.queue.backoff.ms", "1"}
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		why[512];

	for (auto &option : options)
	{
		rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, option[0], option[1], why, sizeof(why));

		/* before 2.2 a full queue is looked at again only when the broker thread wakes */
		if (result == RD_KAFKA_CONF_UNKNOWN)
			result = rd_kafka_conf_set(conf, "topic.metadata.refresh.interval.ms", "100", why, sizeof(why));
		if (result != RD_KAFKA_CONF_OK)
			fail(why);
	}
	rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));

	if (client == nullptr)
		fail(why);
	rd_kafka_poll_set_consumer(client);
	return client;
}

/* Assigns every partition from its beginning; returns how many are not empty. */
int
assign_all(rd_kafka_t *client, const char *topic, std::vector<int64_t> &ends)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, nullptr);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
	int			open = 0;

	if (rd_kafka_metadata(client, 0, handle, &metadata, 10000))
		fail("no metadata");
	for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
	{
		int64_t		low,
					high;

		if (rd_kafka_query_watermark_offsets(client, topic, i, &low, &high, 10000))
			fail("no offsets");
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = low;
		ends.push_back(high);
		open += high > low;
	}
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(handle);
	rd_kafka_assign(client, list);
	rd_kafka_topic_partition_list_destroy(list);
	return open;
}

double
cpu_seconds()
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double
now()
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

}								/* namespace */

int
main(int argc, char **argv)
{
	if (argc != 4)
		fail("usage: floor BROKERS TOPIC drain|view");
	bool		keep_view = strcmp(argv[3], "view") == 0;
	rd_kafka_t *client = connect_to(argv[1]);
	double		started = now(),
				cpu = cpu_seconds();
	std::vector<int64_t> ends;
	int			open = assign_all(client, argv[2], ends);
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
	std::vector<rd_kafka_message_t *> messages(1000);
	View		view;
	int64_t		records = 0;

	while (open > 0)
	{
		ssize_t		n = rd_kafka_consume_batch_queue(queue, 100, messages.data(), messages.size());

		for (ssize_t i = 0; i < n; i++)
		{
			rd_kafka_message_t *message = messages[i];

			if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
			{
				records++;
				if (keep_view)
					view.take((const char *) message->payload, message->len);
				if (message->offset + 1 == ends[message->partition])
					open--;
			}
			else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
				fail(rd_kafka_message_errstr(message));
			rd_kafka_message_destroy(message);
		}
	}
	printf("%lld %.3f %.3f %zu %lld\n", (long long) records, now() - started, cpu_seconds() - cpu,
		   view.groups.size(), (long long) view.groups.total());
	rd_kafka_queue_destroy(queue);
	rd_kafka_consumer_close(client);
	rd_kafka_destroy(client);
	return 0;
}
