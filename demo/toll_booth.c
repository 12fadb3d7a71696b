/*
 * toll_booth.c
 *		Cars passing toll booths, as JSON records in a topic: late, out of order, a few broken.
 *
 *	toll_booth BROKERS TOPIC [--seed N] [--events N] [--rate N] [--speed N]
 *
 * The same seed gives the same records.  Event time begins at a fixed morning and
 * runs `speed` seconds per second of the clock; records are sent at `rate` a second
 * (0: as fast as possible).  Traffic comes in waves of half an hour.  Every record's
 * time is off by up to 20 s; one in 300 comes a quarter of an hour late; one in 3,000
 * is broken in one of five ways.
 * It ends with a line of what was sent: events, broken, and the sum of good tolls.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define BOOTHS			4
#define JITTER_MS		20000
#define ONE_IN_LATE		300
#define LATE_MS			(15 * 60 * 1000)
#define ONE_IN_BROKEN	3000
#define MORNING_MS		INT64_C(1409814000000)	/* 2014-09-04 07:00 UTC */
#define WAVE_MS			1800000	/* from one rush to the next */

typedef struct Settings
{
	uint64_t	seed;
	long		events;
	long		rate;
	long		speed;
} Settings;

/* One car, still unbroken. */
typedef struct Car
{
	int			booth;
	char		plate[16];
	int			toll_cents;
	int64_t		entry_ms;
} Car;

static long undelivered = 0;

/* splitmix64: small, seeded, the same everywhere. */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static int64_t
random_below(uint64_t *state, int64_t limit)
{
	return (int64_t) (next_random(state) % (uint64_t) limit);
}

/* Traffic comes in waves: the time of the morning passes slowly where cars are dense. */
static int64_t
in_waves(int64_t ms)
{
	return ms + (int64_t) (WAVE_MS / 12 * sin(2 * M_PI * ms / WAVE_MS));
}

/* Booth 1 is the busy one. */
static Car
next_car(uint64_t *state, int64_t now_ms)
{
	Car			car;
	uint64_t	letters = next_random(state);

	car.booth = 1 + (int) (random_below(state, BOOTHS * BOOTHS) / (1 + random_below(state, BOOTHS)) % BOOTHS);
	snprintf(car.plate, sizeof(car.plate), "%c%c%c-%04d",
			 'A' + (char) (letters % 26), 'A' + (char) (letters / 26 % 26), 'A' + (char) (letters / 676 % 26),
			 (int) (letters / 17576 % 10000));
	car.toll_cents = 100 + 25 * (int) random_below(state, 37);
	car.entry_ms = now_ms - random_below(state, JITTER_MS);
	if (random_below(state, ONE_IN_LATE) == 0)
		car.entry_ms -= LATE_MS;
	return car;
}

static void
format_time(int64_t ms, char *text, size_t size)
{
	time_t		seconds = (time_t) (ms / 1000);
	struct tm	tm;
	size_t		used;

	gmtime_r(&seconds, &tm);
	used = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + used, size - used, ".%03dZ", (int) (ms % 1000));
}

/* The record of a car; broken in the given way, 0 to 4, or -1 for a good one. */
static int
format_record(const Car *car, int broken, char *text, size_t size)
{
	char		entry_time[40];
	char		toll[24];
	const char *format = "{\"booth\": %d, \"license_plate\": \"%s\", \"toll\": %s, \"entry_time\": \"%s\"}";
	int			len;

	format_time(car->entry_ms, entry_time, sizeof(entry_time));
	snprintf(toll, sizeof(toll), "%d.%02d", car->toll_cents / 100, car->toll_cents % 100);
	switch (broken)
	{
		case 0:					/* the wrong type */
			strcpy(toll, "\"free\"");
			break;
		case 1:					/* against the CHECK constraint */
			snprintf(toll, sizeof(toll), "-%d.00", car->toll_cents / 100 + 1);
			break;
		case 2:					/* a time that does not exist */
			strcpy(entry_time, "2014-09-31T07:61:00Z");
			break;
		case 3:					/* no booth */
			format = "{\"booth\": null, \"was\": %d, \"license_plate\": \"%s\", \"toll\": %s, \"entry_time\": \"%s\"}";
			break;
	}
	len = snprintf(text, size, format, car->booth, car->plate, toll, entry_time);
	if (broken == 4)			/* cut short */
		len -= 20;
	return len;
}

static void
delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
	(void) client;
	(void) opaque;
	if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		undelivered++;
}

static rd_kafka_t *
connect_to(const char *brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *client;
	char		why[512];

	if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof(why)) != RD_KAFKA_CONF_OK ||
		rd_kafka_conf_set(conf, "linger.ms", "5", why, sizeof(why)) != RD_KAFKA_CONF_OK)
	{
		fprintf(stderr, "toll_booth: %s\n", why);
		exit(1);
	}
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (client == NULL)
	{
		fprintf(stderr, "toll_booth: %s\n", why);
		exit(1);
	}
	return client;
}

static void
send_record(rd_kafka_t *client, const char *topic, const Car *car, const char *text, int len)
{
	rd_kafka_resp_err_t err;

	do
	{
		err = rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic),
								RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
								RD_KAFKA_V_KEY(car->plate, strlen(car->plate)),
								RD_KAFKA_V_VALUE((void *) text, (size_t) len),
								RD_KAFKA_V_END);
		rd_kafka_poll(client, err ? 50 : 0);
	} while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
	if (err)
	{
		fprintf(stderr, "toll_booth: %s\n", rd_kafka_err2str(err));
		exit(1);
	}
}

/* Waits until record n is due. */
static void
wait_for_turn(const struct timespec *started, long n, long rate)
{
	struct timespec due = *started;

	if (rate <= 0)
		return;
	due.tv_sec += n / rate;
	due.tv_nsec += n % rate * (1000000000L / rate);
	if (due.tv_nsec >= 1000000000L)
	{
		due.tv_sec++;
		due.tv_nsec -= 1000000000L;
	}
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static Settings
read_settings(int argc, char **argv)
{
	Settings	settings = {.seed = 1, .events = 45000, .rate = 1500, .speed = 120};

	for (int i = 3; i + 1 < argc; i += 2)
	{
		long		value = atol(argv[i + 1]);

		if (strcmp(argv[i], "--seed") == 0)
			settings.seed = (uint64_t) value;
		else if (strcmp(argv[i], "--events") == 0)
			settings.events = value;
		else if (strcmp(argv[i], "--rate") == 0)
			settings.rate = value;
		else if (strcmp(argv[i], "--speed") == 0)
			settings.speed = value;
		else
		{
			fprintf(stderr, "toll_booth: unrecognized option \"%s\"\n", argv[i]);
			exit(2);
		}
	}
	return settings;
}

int
main(int argc, char **argv)
{
	Settings	settings = read_settings(argc, argv);
	uint64_t	state = settings.seed;
	long		per_second = settings.rate > 0 ? settings.rate : 1500;	/* of event time, then */
	long		broken = 0;
	int64_t		cents = 0;
	struct timespec started;
	rd_kafka_t *client;

	if (argc < 3)
	{
		fprintf(stderr, "usage: toll_booth BROKERS TOPIC [--seed N] [--events N] [--rate N] [--speed N]\n");
		return 2;
	}
	client = connect_to(argv[1]);
	clock_gettime(CLOCK_MONOTONIC, &started);
	for (long n = 0; n < settings.events; n++)
	{
		char		text[256];
		Car			car = next_car(&state, MORNING_MS + in_waves(n * 1000 / per_second * settings.speed));
		bool		is_broken = n % ONE_IN_BROKEN == ONE_IN_BROKEN / 2;
		int			len = format_record(&car, is_broken ? (int) (broken % 5) : -1, text, sizeof(text));

		wait_for_turn(&started, n, settings.rate);
		send_record(client, argv[2], &car, text, len);
		broken += is_broken;
		cents += is_broken ? 0 : car.toll_cents;
	}
	rd_kafka_flush(client, 30000);
	undelivered += rd_kafka_outq_len(client);
	rd_kafka_destroy(client);
	printf("%ld %ld %lld.%02lld\n", settings.events, broken, (long long) cents / 100, (long long) cents % 100);
	return undelivered != 0;
}
