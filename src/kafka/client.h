/*
 * client.h
 *		A librdkafka handle inside a backend: made, served and destroyed safely.
 *
 * Private to kafka/: the only header that includes rdkafka.h.
 */
#ifndef DELTAFLOW_KAFKA_CLIENT_H
#define DELTAFLOW_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "compat.h"
#include "kafka/consumer.h"
#include "utils/timestamp.h"

#define KAFKA_MAX_FAULTS	32

typedef struct KafkaClient
{
	/* identity */
	MemoryContext context;		/* its reset closes the client */
	dlist_node	node;			/* in the list of open clients */
	char	   *topic;
	char	   *bootstrap;		/* option bootstrap.servers */

	/* the library's objects; NULL when not made yet or closed */
	rd_kafka_conf_t *conf;		/* until the handle takes it over */
	rd_kafka_t *handle;
	rd_kafka_topic_t *topic_handle;
	rd_kafka_queue_t *events;	/* errors, logs, delivery reports */
	rd_kafka_queue_t *records;	/* consumers only */
	int			wakeup_fd;		/* eventfd that all queues write to, -1: none */

	/* called before the handle is destroyed, to give back what keeps it alive */
	void		(*before_close) (void *arg);
	void	   *before_close_arg;

	/* what to keep out of texts */
	char	  **secrets;
	int			nsecrets;

	/* faults not asked for yet */
	KafkaFault	faults[KAFKA_MAX_FAULTS];
	int			nfaults;
	char		last_trouble[512];	/* last connection error of any broker */
	bool		trouble_is_refusal; /* it did not let us in */
	TimestampTz refused_at;		/* when a broker last would not let us in */

	/* log lines of the library are let through at a limited rate */
	TimestampTz log_window;
	int			log_lines;
	int			log_suppressed;
} KafkaClient;

/* Handler of delivery reports, or NULL. */
typedef void (*KafkaEventHandler) (void *arg, rd_kafka_event_t *event);

/* A client in CurrentMemoryContext; its struct has size bytes, KafkaClient first. */
extern KafkaClient *client_open(rd_kafka_type_t type, size_t size, const char *topic,
								const KafkaOption *options, int noptions);
extern void client_close(KafkaClient *client);

/* Takes errors and log lines off the library's queue; other events go to the handler. */
extern void client_serve(KafkaClient *client, KafkaEventHandler handler, void *arg);

/* A line of the library's log, free of secrets, to the server's at a limited rate (client_log.c). */
extern void client_log(KafkaClient *client, const char *text);

/* Destroys a handle within a few seconds, or leaves it behind (handle_destroy.c).  Does not raise. */
extern void handle_destroy(rd_kafka_t *handle, bool is_consumer, const char *topic);

extern void client_drain_wakeup(KafkaClient *client);

/* Whether one of our own settings is for the library in use. */
struct ClientSetting;
extern bool client_setting_applies(const struct ClientSetting *setting);

/* Lets a queue wake us, and gives it back. */
extern void client_wake_by(KafkaClient *client, rd_kafka_queue_t *queue);
extern void client_release_queue(rd_kafka_queue_t **queue);

/* Keeps a fault for consumer_fault(); text may be the library's. */
extern void client_keep_fault(KafkaClient *client, KafkaFaultKind kind, int32 partition, const char *text);

/* What an error of the library means to us. */
extern KafkaFaultKind client_fault_kind(rd_kafka_resp_err_t err);

/* Whether an error's text is about a broker whose address only metadata names; then the address. */
extern bool fault_advertised(const char *text, const char *bootstrap, char *address, size_t size);

/* Whether it tells of a refused password that a newer library might have brought through; version as of rd_kafka_version(). */
extern bool fault_is_of_scram(const char *text, int library_version);

/* Raises ERROR for a request that failed; what completes "could not ...". */
pg_noreturn extern void client_raise(KafkaClient *client, rd_kafka_resp_err_t err, const char *what);

/* The topic's handle, made at first use. */
extern rd_kafka_topic_t *client_topic(KafkaClient *client);

/*
 * Asks the broker with a blocking call of the library, in steps short enough for
 * query cancel.  The call gets a time limit and returns the library's error.
 */
typedef rd_kafka_resp_err_t (*KafkaQuestion) (KafkaClient *client, void *arg, int step_ms);
extern rd_kafka_resp_err_t client_ask(KafkaClient *client, KafkaQuestion question, void *arg, int timeout_ms);

#endif							/* DELTAFLOW_KAFKA_CLIENT_H */
