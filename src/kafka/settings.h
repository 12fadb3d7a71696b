/*
 * settings.h
 *		How we set librdkafka, apart from users' options.
 *
 * Plain C without the server, so that bench/drain.c measures the same client.
 *
 * When the local queue is full, the library stops fetching and, before 2.2, looks
 * again only when its broker thread wakes, up to a second later.  From 2.2 on the
 * pause can be set.  Before, the frequent metadata refresh wakes the thread, and
 * the queue must last until then.  Small fetches leave the payload in the cache.
 */
#ifndef DELTAFLOW_KAFKA_SETTINGS_H
#define DELTAFLOW_KAFKA_SETTINGS_H

/* Oldest library we work with; and the first with fetch.queue.backoff.ms. */
#define KAFKA_VERSION_FLOOR				0x02000200
#define KAFKA_VERSION_QUEUE_BACKOFF		0x02020000

#define SET_CONSUMER	1		/* as OptionScope */
#define SET_PRODUCER	2
#define SET_BOTH		(SET_CONSUMER | SET_PRODUCER)

/* A default that options override, or a rule that stands. */
typedef struct ClientSetting
{
	const char *name;
	const char *value;
	int			scope;
	int			stands;
	int			since;			/* library version, 0: any */
	int			before;
} ClientSetting;

static const ClientSetting client_settings[] = {
	{"client.id", "deltaflow", SET_BOTH},
	{"socket.keepalive.enable", "true", SET_BOTH},
	{"socket.nagle.disable", "true", SET_BOTH},
	{"reconnect.backoff.max.ms", "2000", SET_BOTH},
	{"log.connection.close", "false", SET_BOTH, 1},
	{"log.queue", "true", SET_BOTH, 1},
	{"log_level", "4", SET_BOTH, 1},	/* syslog's warning and worse */
	{"statistics.interval.ms", "0", SET_BOTH, 1},
	{"sasl.kerberos.min.time.before.relogin", "0", SET_BOTH, 1},	/* never run kinit */

	/* assign() wants a group; nothing is stored under it */
	{"group.id", "deltaflow", SET_CONSUMER, 1},
	{"enable.auto.commit", "false", SET_CONSUMER, 1},
	{"enable.auto.offset.store", "false", SET_CONSUMER, 1},
	{"auto.offset.reset", "error", SET_CONSUMER, 1},
	{"enable.partition.eof", "true", SET_CONSUMER, 1},
	{"isolation.level", "read_committed", SET_CONSUMER, 1},
	{"check.crcs", "true", SET_CONSUMER, 1},
	{"allow.auto.create.topics", "false", SET_CONSUMER, 1},
	{"max.poll.interval.ms", "86400000", SET_CONSUMER, 1},

	/* an end behind control records is seen when an empty fetch returns */
	{"fetch.wait.max.ms", "100", SET_CONSUMER},
	{"topic.metadata.propagation.max.ms", "5000", SET_CONSUMER},
	{"queued.min.messages", "10000000", SET_CONSUMER},
	{"fetch.message.max.bytes", "524288", SET_CONSUMER},
	{"fetch.max.bytes", "8388608", SET_CONSUMER},
	{"queued.max.messages.kbytes", "8192", SET_CONSUMER, 0, KAFKA_VERSION_QUEUE_BACKOFF},
	{"fetch.queue.backoff.ms", "1", SET_CONSUMER, 0, KAFKA_VERSION_QUEUE_BACKOFF},
	{"queued.max.messages.kbytes", "32768", SET_CONSUMER, 0, 0, KAFKA_VERSION_QUEUE_BACKOFF},
	{"topic.metadata.refresh.interval.ms", "100", SET_CONSUMER, 0, 0, KAFKA_VERSION_QUEUE_BACKOFF},

	{"acks", "all", SET_PRODUCER, 1},
	{"enable.idempotence", "true", SET_PRODUCER, 1},
	{"delivery.report.only.error", "false", SET_PRODUCER, 1},
	{"queue.buffering.max.kbytes", "65536", SET_PRODUCER},
	{"linger.ms", "5", SET_PRODUCER},
};

#define N_CLIENT_SETTINGS	((int) (sizeof(client_settings) / sizeof(client_settings[0])))

#endif							/* DELTAFLOW_KAFKA_SETTINGS_H */
