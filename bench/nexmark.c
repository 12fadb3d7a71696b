/*
 * nexmark.c
 *		Nexmark's auction site as JSON records in a topic, seeded.
 *
 *	nexmark BROKERS TOPIC [--events N] [--seed N] [--event-rate N] [--partitions N]
 *	nexmark BROKERS TOPIC --live SECONDS --pace N [--seed N] [--partitions N]
 *	nexmark --print N
 *
 * Event n is a person, an auction or a bid (2, 6 and 92 of 100) after the rules of
 * the Nexmark generator, with ids, hot keys and sizes as there; unlike there all
 * values come from the seed, so a run can be repeated.  Records are wrapped with
 * nulls as one topic of three kinds: {"event_type":2,"person":null,"auction":null,
 * "bid":{...}}, 334 bytes in the mean, dealt to the partitions in turn.
 *
 * Event time begins at a fixed date and runs at event-rate events a second (100,000);
 * --live sends `pace` records a second with the clock's time instead.
 * It ends with the number of records acknowledged, and how long that took from the
 * call that sent them.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define BASE_MS			INT64_C(1767225600000)	/* 2026-01-01 00:00 */
#define FIRST_ID		1000
#define FIRST_CATEGORY	10
#define CATEGORIES		5
#define HOT_SELLERS		100
#define HOT_AUCTIONS	100
#define HOT_BIDDERS		100
#define ACTIVE_PEOPLE	1000
#define PEOPLE_LEAD		10
#define AUCTIONS_IN_FLIGHT 100
#define AUCTIONS_LEAD	10
#define CHANNELS		10000
#define RECORD_SIZE		4096

typedef struct Generator
{
	uint64_t	random;
	int64_t		event_rate;		/* events per second of event time */
	char	   *out;			/* the record being written */
	int			used;
} Generator;

typedef struct Settings
{
	int64_t		events;
	uint64_t	seed;
	int64_t		event_rate;
	int			partitions;
	int			live_seconds;
	int64_t		pace;
} Settings;

static const char *first_names[] = {"Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"};
static const char *last_names[] = {"Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"};
static const char *cities[] = {"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"};
static const char *states[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
static const char *hot_channels[] = {"Google", "Facebook", "Baidu", "Apple"};
static char hot_urls[4][128];
static char urls[CHANNELS][128];

#define LATENCIES	10000

static int64_t acknowledged = 0;
static int64_t acknowledged_after[LATENCIES];	/* so many ms, the last: or more */
static int64_t refused = 0;

/* ---------- chance ---------- */

static uint64_t
next_random(Generator *g)
{
	uint64_t	z = (g->random += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* From 0 up to but not including limit. */
static int64_t
below(Generator *g, int64_t limit)
{
	return (int64_t) (((unsigned __int128) next_random(g) * (uint64_t) limit) >> 64);
}

/* Log-uniform from 100 to 1e8. */
static int64_t
price(Generator *g)
{
	double		u = (double) (next_random(g) >> 11) / 9007199254740992.0;

	return llround(100.0 * pow(10.0, 6.0 * u));
}

/* 3 to max-1 letters with a separator now and then, trimmed when that is a space. */
static int
write_string(Generator *g, char *to, int max, char separator)
{
	int			len = 3 + (int) below(g, max - 3);
	int			begin = 0;

	for (int i = 0; i < len; i++)
		to[i] = below(g, 13) == 0 ? separator : (char) ('a' + below(g, 26));
	if (separator != ' ')
		return len;
	while (len > 0 && to[len - 1] == ' ')
		len--;
	while (begin < len && to[begin] == ' ')
		begin++;
	memmove(to, to + begin, len - begin);
	return len - begin;
}

/* ---------- writing JSON ---------- */

static void
put_text(Generator *g, const char *text)
{
	size_t		len = strlen(text);

	memcpy(g->out + g->used, text, len);
	g->used += (int) len;
}

static void
put_int(Generator *g, int64_t value)
{
	char		digits[24];
	int			n = 0;
	uint64_t	rest = (uint64_t) (value < 0 ? -value : value);

	do
		digits[n++] = (char) ('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (value < 0)
		digits[n++] = '-';
	while (n > 0)
		g->out[g->used++] = digits[--n];
}

/* A random string as with write_string; returns its length. */
static int
put_string(Generator *g, int max, char separator)
{
	int			len = write_string(g, g->out + g->used, max, separator);

	g->used += len;
	return len;
}

/* Letters that pad a record of `size` bytes to about `wanted`, 20 % up or down. */
static void
put_extra(Generator *g, int size, int wanted)
{
	int			missing = wanted - size;
	int			spread = (int) lround(missing * 0.2);
	int			len;

	put_text(g, ",\"extra\":\"");
	if (missing > 0)
	{
		uint64_t	letters = 0;

		len = missing - spread + (spread > 0 ? (int) below(g, 2 * spread) : 0);
		for (int i = 0; i < len; i++)
		{
			if (i % 12 == 0)
				letters = next_random(g);
			g->out[g->used++] = (char) ('a' + letters % 26);
			letters /= 26;
		}
	}
	put_text(g, "\"}");
}

/* "2026-01-01 00:00:00.000" */
static void
put_time(Generator *g, int64_t ms)
{
	static int64_t cached_second = -1;
	static char cached[32];
	int64_t		second = ms / 1000;
	int			rest = (int) (ms % 1000);

	if (second != cached_second)
	{
		time_t		t = (time_t) second;
		struct tm	tm;

		gmtime_r(&t, &tm);
		strftime(cached, sizeof(cached), "%Y-%m-%d %H:%M:%S.", &tm);
		cached_second = second;
	}
	put_text(g, cached);
	g->out[g->used++] = (char) ('0' + rest / 100);
	g->out[g->used++] = (char) ('0' + rest / 10 % 10);
	g->out[g->used++] = (char) ('0' + rest % 10);
}

/* ---------- the auction site ---------- */

static int64_t
last_person(int64_t n)
{
	return n / 50;
}

static int64_t
last_auction(int64_t n)
{
	int64_t		epoch = n / 50,
				slot = n % 50;

	if (slot == 0)
		return 3 * (epoch - 1) + 2;
	return 3 * epoch + (slot <= 3 ? slot - 1 : 2);
}

/* Somebody active, or soon to be created. */
static int64_t
some_person(Generator *g, int64_t n)
{
	int64_t		people = last_person(n) + 1;
	int64_t		active = people < ACTIVE_PEOPLE ? people : ACTIVE_PEOPLE;

	return people - active + below(g, active + PEOPLE_LEAD);
}

static int64_t
some_auction(Generator *g, int64_t n)
{
	int64_t		last = last_auction(n);
	int64_t		first = last > AUCTIONS_IN_FLIGHT ? last - AUCTIONS_IN_FLIGHT : 0;

	return first + below(g, last - first + 1 + AUCTIONS_LEAD);
}

static int64_t
event_time(const Generator *g, int64_t n)
{
	return BASE_MS + n * 1000 / g->event_rate;
}

static void
put_person(Generator *g, int64_t n, int64_t time_ms)
{
	int			begin;

	put_text(g, "{\"event_type\":0,\"person\":{\"id\":");
	put_int(g, last_person(n) + FIRST_ID);
	begin = g->used;
	put_text(g, ",\"name\":\"");
	put_text(g, first_names[below(g, 11)]);
	put_text(g, " ");
	put_text(g, last_names[below(g, 9)]);
	put_text(g, "\",\"emailAddress\":\"");
	put_string(g, 7, ' ');
	put_text(g, "@");
	put_string(g, 5, ' ');
	put_text(g, ".com\",\"creditCard\":\"");
	for (int i = 0; i < 4; i++)
		g->used += sprintf(g->out + g->used, "%s%04d", i > 0 ? " " : "", (int) below(g, 10000));
	put_text(g, "\",\"city\":\"");
	put_text(g, cities[below(g, 10)]);
	put_text(g, "\",\"state\":\"");
	put_text(g, states[below(g, 6)]);
	put_text(g, "\",\"dateTime\":\"");
	put_time(g, time_ms);
	put_text(g, "\"");
	/* what the rules count: the id and the values, not JSON's 78 other bytes */
	put_extra(g, 8 + g->used - begin - 101, 200);
	put_text(g, ",\"auction\":null,\"bid\":null}");
}

static void
put_auction(Generator *g, int64_t n, int64_t time_ms)
{
	int64_t		initial = price(g);
	int64_t		horizon_ms = 2 * (100 * 1000 * 50 / 3) / g->event_rate;
	int64_t		seller = below(g, 4) > 0 ? last_person(n) / HOT_SELLERS * HOT_SELLERS : some_person(g, n);
	int			size = 8 + 8 * 6;

	put_text(g, "{\"event_type\":1,\"person\":null,\"auction\":{\"id\":");
	put_int(g, last_auction(n) + FIRST_ID);
	put_text(g, ",\"itemName\":\"");
	size += put_string(g, 20, ' ');
	put_text(g, "\",\"description\":\"");
	size += put_string(g, 100, ' ');
	put_text(g, "\",\"initialBid\":");
	put_int(g, initial);
	put_text(g, ",\"reserve\":");
	put_int(g, initial + price(g));
	put_text(g, ",\"dateTime\":\"");
	put_time(g, time_ms);
	put_text(g, "\",\"expires\":\"");
	put_time(g, time_ms + 1 + below(g, horizon_ms > 1 ? horizon_ms : 1));
	put_text(g, "\",\"seller\":");
	put_int(g, seller + FIRST_ID);
	put_text(g, ",\"category\":");
	put_int(g, FIRST_CATEGORY + below(g, CATEGORIES));
	put_extra(g, size, 500);
	put_text(g, ",\"bid\":null}");
}

static void
put_bid(Generator *g, int64_t n, int64_t time_ms)
{
	int64_t		auction = below(g, 2) == 0 ? last_auction(n) / HOT_AUCTIONS * HOT_AUCTIONS : some_auction(g, n);
	int64_t		bidder = below(g, 4) > 0 ? last_person(n) / HOT_BIDDERS * HOT_BIDDERS + 1 : some_person(g, n);
	char		channel_name[32];
	const char *channel,
			   *url;

	if (below(g, 2) == 0)
	{
		int			i = (int) below(g, 4);

		channel = hot_channels[i];
		url = hot_urls[i];
	}
	else
	{
		int			i = (int) below(g, CHANNELS);

		sprintf(channel_name, "channel-%d", i);
		channel = channel_name;
		url = urls[i];
	}
	put_text(g, "{\"event_type\":2,\"person\":null,\"auction\":null,\"bid\":{\"auction\":");
	put_int(g, auction + FIRST_ID);
	put_text(g, ",\"bidder\":");
	put_int(g, bidder + FIRST_ID);
	put_text(g, ",\"price\":");
	put_int(g, price(g));
	put_text(g, ",\"channel\":\"");
	put_text(g, channel);
	put_text(g, "\",\"url\":\"");
	put_text(g, url);
	put_text(g, "\",\"dateTime\":\"");
	put_time(g, time_ms);
	put_text(g, "\"");
	put_extra(g, 32, 100);
	put_text(g, "}");
}

/* Writes event n; returns its length. */
static int
write_event(Generator *g, int64_t n, int64_t time_ms, char *out)
{
	int64_t		slot = n % 50;

	g->out = out;
	g->used = 0;
	if (slot == 0)
		put_person(g, n, time_ms);
	else if (slot <= 3)
		put_auction(g, n, time_ms);
	else
		put_bid(g, n, time_ms);
	return g->used;
}

static void
make_url(Generator *g, char *to)
{
	int			used = sprintf(to, "https://www.nexmark.com/");

	for (int i = 0; i < 3; i++)
	{
		used += write_string(g, to + used, 5, '_');
		to[used++] = '/';
	}
	strcpy(to + used, "item.htm?query=1");
}

static uint32_t
bit_reverse(uint32_t x)
{
	uint32_t	y = 0;

	for (int i = 0; i < 32; i++)
		y |= ((x >> i) & 1) << (31 - i);
	return y;
}

static void
make_urls(Generator *g)
{
	for (int i = 0; i < 4; i++)
		make_url(g, hot_urls[i]);
	for (int i = 0; i < CHANNELS; i++)
	{
		make_url(g, urls[i]);
		if (below(g, 10) > 0)
			sprintf(urls[i] + strlen(urls[i]), "&channel_id=%u", bit_reverse((uint32_t) i) & 0x7FFFFFFF);
	}
}

/* ---------- sending ---------- */

static void
delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	int64_t		ms = rd_kafka_message_latency(message) / 1000;

	(void) client;
	(void) opaque;
	if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		acknowledged++;
	else
		refused++;
	acknowledged_after[ms < LATENCIES ? ms : LATENCIES - 1]++;
}

/* Milliseconds within which that share of the records was acknowledged. */
static int
latency_quantile(double share)
{
	int64_t		seen = 0;
	int			ms = 0;

	while (ms < LATENCIES - 1 && (seen += acknowledged_after[ms]) < share * (double) acknowledged)
		ms++;
	return ms;
}

static rd_kafka_t *
connect_to(const char *brokers, bool live)
{
	const char *options[][2] = {
		{"bootstrap.servers", brokers}, {"linger.ms", live ? "5" : "20"}, {"batch.size", "500000"},
		{"batch.num.messages", "100000"}, {"queue.buffering.max.messages", "500000"},
		{"queue.buffering.max.kbytes", "400000"}, {"acks", "1"}
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *client;
	char		why[512];

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
	{
		if (rd_kafka_conf_set(conf, options[i][0], options[i][1], why, sizeof(why)) != RD_KAFKA_CONF_OK)
		{
			fprintf(stderr, "nexmark: %s\n", why);
			exit(1);
		}
	}
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (client == NULL)
	{
		fprintf(stderr, "nexmark: %s\n", why);
		exit(1);
	}
	return client;
}

static void
send_event(rd_kafka_t *client, rd_kafka_topic_t *topic, int partition, char *text, int len)
{
	while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, text, (size_t) len, NULL, 0, NULL) != 0)
	{
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
		{
			fprintf(stderr, "nexmark: %s\n", rd_kafka_err2str(rd_kafka_last_error()));
			exit(1);
		}
		rd_kafka_poll(client, 10);
	}
}

static int64_t
clock_us(clockid_t which)
{
	struct timespec now;

	clock_gettime(which, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Sends `pace` events a second with the clock's time, in slices of a millisecond. */
static void
send_live(Generator *g, const Settings *settings, rd_kafka_t *client, rd_kafka_topic_t *topic)
{
	char		record[RECORD_SIZE];
	int64_t		started = clock_us(CLOCK_MONOTONIC);
	int64_t		n = 0;

	for (;;)
	{
		int64_t		elapsed = clock_us(CLOCK_MONOTONIC) - started;
		int64_t		due = elapsed * settings->pace / 1000000;
		struct timespec nap = {0, 1000000};

		if (elapsed > (int64_t) settings->live_seconds * 1000000)
			break;
		/* in pieces: a pace that cannot be kept must not hide the end */
		for (int sent = 0; n < due && sent < 10000; n++, sent++)
			send_event(client, topic, (int) (n % settings->partitions), record,
					   write_event(g, n, clock_us(CLOCK_REALTIME) / 1000, record));
		rd_kafka_poll(client, 0);
		nanosleep(&nap, NULL);
	}
}

static void
send_all(Generator *g, const Settings *settings, rd_kafka_t *client, rd_kafka_topic_t *topic)
{
	char		record[RECORD_SIZE];

	for (int64_t n = 0; n < settings->events; n++)
	{
		send_event(client, topic, (int) (n % settings->partitions), record,
				   write_event(g, n, event_time(g, n), record));
		if (n % 1000 == 0)
			rd_kafka_poll(client, 0);
	}
}

static void
print_events(Generator *g, int64_t events)
{
	char		record[RECORD_SIZE];

	for (int64_t n = 0; n < events; n++)
		printf("%.*s\n", write_event(g, n, event_time(g, n), record), record);
}

static Settings
read_settings(int argc, char **argv)
{
	Settings	settings = {.events = 1000000, .seed = 1, .event_rate = 100000, .partitions = 4, .pace = 100000};
	struct
	{
		const char *name;
		int64_t    *value;
	}			numbers[] = {{"--events", &settings.events}, {"--event-rate", &settings.event_rate}, {"--pace", &settings.pace}};

	for (int i = 3; i + 1 < argc; i += 2)
	{
		bool		known = false;
		int64_t		value = atoll(argv[i + 1]);

		for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
		{
			if (strcmp(argv[i], numbers[k].name) == 0)
			{
				*numbers[k].value = value;
				known = true;
			}
		}
		if (strcmp(argv[i], "--seed") == 0)
			settings.seed = (uint64_t) value;
		else if (strcmp(argv[i], "--partitions") == 0)
			settings.partitions = (int) value;
		else if (strcmp(argv[i], "--live") == 0)
			settings.live_seconds = (int) value;
		else if (!known)
		{
			fprintf(stderr, "nexmark: unrecognized option \"%s\"\n", argv[i]);
			exit(2);
		}
	}
	return settings;
}

int
main(int argc, char **argv)
{
	Settings	settings;
	Generator	generator;
	rd_kafka_t *client;
	rd_kafka_topic_t *topic;

	if (argc < 3)
	{
		fprintf(stderr, "usage: nexmark BROKERS TOPIC [--events N] [--seed N] [--event-rate N] [--live SECONDS --pace N] [--partitions N]\n");
		return 2;
	}
	settings = read_settings(argc, argv);
	generator = (Generator) {.random = settings.seed, .event_rate = settings.event_rate};
	make_urls(&generator);
	if (strcmp(argv[1], "--print") == 0)
	{
		print_events(&generator, atoll(argv[2]));
		return 0;
	}
	client = connect_to(argv[1], settings.live_seconds > 0);
	topic = rd_kafka_topic_new(client, argv[2], NULL);
	if (settings.live_seconds > 0)
		send_live(&generator, &settings, client, topic);
	else
		send_all(&generator, &settings, client, topic);
	rd_kafka_flush(client, 60000);
	refused += rd_kafka_outq_len(client);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(client);
	printf("%lld acknowledged, p50 %d ms, p99 %d ms\n", (long long) acknowledged, latency_quantile(0.5), latency_quantile(0.99));
	return refused != 0;
}
