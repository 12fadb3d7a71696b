/*
 * client.c
 *		A librdkafka handle inside a backend: made, served and destroyed safely.
 *
 * In: options that passed the policy.  Out: a handle whose errors, log lines and
 * delivery reports come through one event queue that only the main thread reads.
 *
 *	  options --> conf --> handle --> events ---> faults kept, LOG lines
 *							  \-----> records --> consumer.c
 *					both queues ----> eventfd --> wait_for()
 *
 * Invariants:
 *	  - the library's threads run with all signals blocked and never enter
 *		PostgreSQL: the log goes to a queue, and the one callback registered is
 *		called only by the library's functions that we call;
 *	  - a handle dies with its memory context, at the latest with the process
 *		(before_shmem_exit), and everything that would keep its destruction
 *		waiting (messages, the topic handle, queues) is given back before;
 *	  - a secret never reaches a log line or an error: texts of the library are
 *		searched for the secrets' values.
 *
 * Locks: none of ours.  A crash leaves nothing: the handle is memory and sockets.
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "kafka/client.h"
#include "kafka/option_policy.h"
#include "kafka/settings.h"
#include "worker/wait.h"

/* How long a blocking call of the library may last before we look for a cancel. */
#define FIRST_STEP_MS	100
#define LONGEST_STEP_MS	2000

/* How long other brokers are tried when one would not let us in. */
#define REFUSED_PATIENCE_MS	1000

static dlist_head open_clients = DLIST_STATIC_INIT(open_clients);
const char *
kafka_library_version(void)
{
	return rd_kafka_version_str();
}

const char *
kafka_fetch_tuning(void)
{
	return rd_kafka_version() >= KAFKA_VERSION_QUEUE_BACKOFF ?
		"fetch.queue.backoff.ms 1" : "metadata refresh every 100 ms";
}

static void error_among_records(rd_kafka_t *handle, int err, const char *text, void *arg);

void
client_wake_by(KafkaClient *client, rd_kafka_queue_t *queue)
{
	static const uint64 one = 1;

	rd_kafka_queue_io_event_enable(queue, client->wakeup_fd, &one, sizeof(one));
}

/* Stops the queue from writing to our event descriptor, too. */
void
client_release_queue(rd_kafka_queue_t **queue)
{
	if (*queue == NULL)
		return;
	rd_kafka_queue_io_event_enable(*queue, -1, NULL, 0);
	rd_kafka_queue_destroy(*queue);
	*queue = NULL;
}

/*
 * Destroys the library's objects; may be called again, and with a client half made.
 * Must not raise: it runs while memory contexts are reset and at process exit.
 */
static void
close_handle(KafkaClient *client)
{
	bool		is_consumer = client->records != NULL;

	if (client->before_close != NULL)
		client->before_close(client->before_close_arg);
	client->before_close = NULL;
	if (client->topic_handle != NULL)
		rd_kafka_topic_destroy(client->topic_handle);
	client->topic_handle = NULL;
	client_release_queue(&client->records);
	client_release_queue(&client->events);
	if (client->handle != NULL)
	{
		dlist_delete(&client->node);
		handle_destroy(client->handle, is_consumer, client->topic);
	}
	client->handle = NULL;
	if (client->conf != NULL)
		rd_kafka_conf_destroy(client->conf);
	client->conf = NULL;
	if (client->wakeup_fd >= 0)
	{
		close(client->wakeup_fd);
		ReleaseExternalFD();
	}
	client->wakeup_fd = -1;
}

/* The client's memory context goes away. */
static void
client_context_gone(void *arg)
{
	close_handle((KafkaClient *) arg);
}

/* The process exits: the library's threads must be gone before exit() tears TLS down. */
static void
close_all_clients(int code, Datum arg)
{
	while (!dlist_is_empty(&open_clients))
		close_handle(dlist_container(KafkaClient, node, dlist_head_node(&open_clients)));
}

/* Overwrites every secret in a text of the library. */
static void
hide_secrets(KafkaClient *client, char *text)
{
	for (int i = 0; i < client->nsecrets; i++)
	{
		size_t		len = strlen(client->secrets[i]);

		for (char *p = text; len > 0 && (p = strstr(p, client->secrets[i])) != NULL; p += len)
			memset(p, '*', len);
	}
}

/* Remembers the options' secret values, to keep them out of texts. */
static void
note_secrets(KafkaClient *client, const KafkaOption *options, int noptions)
{
	client->secrets = palloc0(Max(noptions, 1) * sizeof(char *));
	for (int i = 0; i < noptions; i++)
	{
		if (option_is_secret(options[i].name))
			client->secrets[client->nsecrets++] = pstrdup(options[i].value);
	}
}

/* Sets one property, or raises ERROR. */
static void
set_property(KafkaClient *client, const char *name, const char *value)
{
	char		text[256] = "";
	rd_kafka_conf_res_t result = rd_kafka_conf_set(client->conf, name, value, text, sizeof(text));

	if (result == RD_KAFKA_CONF_UNKNOWN)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" is not supported by librdkafka %s",
						name, rd_kafka_version_str()),
				 errhint("Remove the option, or install a newer librdkafka.")));
	if (result == RD_KAFKA_CONF_INVALID)
	{
		hide_secrets(client, text);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 errdetail("The client library says: %s", text),
				 errhint("Change the option with ALTER SERVER or ALTER USER MAPPING.")));
	}
}

bool
client_setting_applies(const ClientSetting *setting)
{
	int			version = rd_kafka_version();

	return version >= setting->since && (setting->before == 0 || version < setting->before);
}

/* Applies our own settings of one kind: defaults before the options, rules after them. */
static void
apply_settings(KafkaClient *client, OptionScope scope, bool stands)
{
	char		text[256];

	for (int i = 0; i < N_CLIENT_SETTINGS; i++)
	{
		const ClientSetting *setting = &client_settings[i];

		if ((setting->scope & scope) == 0 || (setting->stands != 0) != stands)
			continue;
		if (!client_setting_applies(setting))
			continue;
		/* a library built without SASL knows no Kerberos: that is as good */
		if (rd_kafka_conf_set(client->conf, setting->name, setting->value, text, sizeof(text)) == RD_KAFKA_CONF_INVALID)
			elog(ERROR, "librdkafka refused %s = %s: %s", setting->name, setting->value, text);
	}
}

/* The whole configuration of a client. */
static void
configure(KafkaClient *client, OptionScope scope, const KafkaOption *options, int noptions)
{
	client->conf = rd_kafka_conf_new();
	apply_settings(client, scope, false);
	for (int i = 0; i < noptions; i++)
	{
		if (option_in_scope(options[i].name, scope))
			set_property(client, options[i].name, options[i].value);
	}
	apply_settings(client, scope, true);
	rd_kafka_conf_set_opaque(client->conf, client);
	rd_kafka_conf_set_error_cb(client->conf, error_among_records);
	rd_kafka_conf_set_events(client->conf,
							 RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_DR);
}

/*
 * Makes the handle.  The threads it starts inherit our signal mask, so all
 * signals are blocked meanwhile: none may ever run a handler of PostgreSQL.
 */
static void
create_handle(KafkaClient *client, rd_kafka_type_t type, bool oauth)
{
	char		text[512] = "";
	sigset_t	all;
	sigset_t	before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	client->handle = rd_kafka_new(type, client->conf, text, sizeof(text));
	if (client->handle != NULL)
	{
		client->conf = NULL;
		/* fetching a token is HTTP; that may not happen on the main thread */
		if (oauth)
			rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(client->handle));
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	if (client->handle == NULL)
	{
		hide_secrets(client, text);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_CREATE_EXECUTION),
				 errmsg("could not create a Kafka client for topic \"%s\"", client->topic),
				 errdetail("The client library says: %s", text),
				 errhint("Check the options of the server and the user mapping.")));
	}
	dlist_push_tail(&open_clients, &client->node);
}

/* The eventfd that tells of new events and records. */
static void
create_wakeup(KafkaClient *client)
{
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not open a Kafka client: too many open files"),
				 errhint("Raise \"max_files_per_process\" or close other connections.")));
	client->wakeup_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (client->wakeup_fd < 0)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create an event descriptor: %m"),
				 errhint("Raise the limit of open files of the server.")));
	}
}

/* Connects the library's queues to the eventfd. */
static void
connect_queues(KafkaClient *client, rd_kafka_type_t type)
{
	client->events = rd_kafka_queue_get_main(client->handle);
	rd_kafka_set_log_queue(client->handle, NULL);	/* the main queue */
	client_wake_by(client, client->events);
	if (type == RD_KAFKA_CONSUMER)
	{
		client->records = rd_kafka_queue_get_consumer(client->handle);
		client_wake_by(client, client->records);
	}
}

/* Whether the options ask for OAUTHBEARER. */
static bool
wants_oauth(const KafkaOption *options, int noptions)
{
	for (int i = 0; i < noptions; i++)
	{
		if (strncmp(options[i].name, "sasl.mechanism", 14) == 0 &&
			pg_strcasecmp(options[i].value, "OAUTHBEARER") == 0)
			return true;
	}
	return false;
}

/* Refuses what cannot work: an old library, or options that do not fit together. */
static void
check_before_open(const KafkaOption *options, int noptions)
{
	OptionRefusal *refusal;

	if ((rd_kafka_version() & ~0xff) < KAFKA_VERSION_FLOOR)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("librdkafka %s is too old", rd_kafka_version_str()),
				 errhint("Install librdkafka 2.0.2 or newer.")));
	refusal = option_check_set(options, noptions);
	if (refusal != NULL)
		option_refusal_raise(refusal);
}

KafkaClient *
client_open(rd_kafka_type_t type, size_t size, const char *topic,
			const KafkaOption *options, int noptions)
{
	static bool exit_hook = false;
	MemoryContext context;
	MemoryContext old;
	KafkaClient *client;
	MemoryContextCallback *callback;

	check_before_open(options, noptions);
	if (!exit_hook)
		before_shmem_exit(close_all_clients, (Datum) 0);
	exit_hook = true;

	context = AllocSetContextCreate(CurrentMemoryContext, "deltaflow kafka client", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	client = palloc0(size);
	client->context = context;
	client->wakeup_fd = -1;
	client->topic = pstrdup(topic);
	callback = palloc0(sizeof(MemoryContextCallback));
	callback->func = client_context_gone;
	callback->arg = client;
	MemoryContextRegisterResetCallback(context, callback);

	client->bootstrap = pstrdup("");
	for (int i = 0; i < noptions; i++)
		if (strcmp(options[i].name, "bootstrap.servers") == 0)
			client->bootstrap = pstrdup(options[i].value);
	note_secrets(client, options, noptions);
	create_wakeup(client);
	configure(client, type == RD_KAFKA_CONSUMER ? OPTION_FOR_CONSUMER : OPTION_FOR_PRODUCER,
			  options, noptions);
	create_handle(client, type, wants_oauth(options, noptions));
	connect_queues(client, type);
	MemoryContextSwitchTo(old);
	return client;
}

void
client_close(KafkaClient *client)
{
	MemoryContextDelete(client->context);
}

void
client_drain_wakeup(KafkaClient *client)
{
	uint64		count;

	/* the descriptor never blocks; nothing to read is fine */
	if (read(client->wakeup_fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
		elog(ERROR, "could not read event descriptor: %m");
}

/*
 * Keeps a fault, once per kind and partition.  When there is no room the oldest
 * goes: whoever never asks learns the last ones.
 */
void
client_keep_fault(KafkaClient *client, KafkaFaultKind kind, int32 partition, const char *text)
{
	KafkaFault *fault;

	for (int i = 0; i < client->nfaults; i++)
	{
		if (client->faults[i].kind == kind && client->faults[i].partition == partition)
			return;
	}
	if (client->nfaults == KAFKA_MAX_FAULTS)
	{
		client->nfaults--;
		memmove(&client->faults[0], &client->faults[1], client->nfaults * sizeof(KafkaFault));
	}
	fault = &client->faults[client->nfaults++];
	fault->kind = kind;
	fault->partition = partition;
	strlcpy(fault->message, text ? text : "", sizeof(fault->message));
	hide_secrets(client, fault->message);
}

/*
 * Remembers what is wrong with a broker, and what its text does not tell: one that cannot
 * be reached at the address that it advertises is no fault of bootstrap.servers, and a
 * password may be right that an old library did not bring through.
 */
static void
keep_trouble(KafkaClient *client, const char *text)
{
	char		address[256];
	char	   *end;
	size_t		room;

	strlcpy(client->last_trouble, text, sizeof(client->last_trouble));
	hide_secrets(client, client->last_trouble);
	end = client->last_trouble + strlen(client->last_trouble);
	room = sizeof(client->last_trouble) - (end - client->last_trouble);
	if (fault_advertised(text, client->bootstrap, address, sizeof(address)))
		snprintf(end, room, "; the broker reached at %s advertises the address %s (its setting advertised.listeners)",
				 client->bootstrap, address);
	else if (fault_is_of_scram(text, rd_kafka_version()))
		snprintf(end, room, "; with SCRAM, Kafka 4 refuses right passwords, too, from librdkafka before 2.6.1, and this is %s",
				 rd_kafka_version_str());
}

/*
 * An error of the handle as a whole.  Trouble with one broker is only remembered:
 * others may serve us, and when none is left the library says so.  Only copies
 * text: it also runs inside the library's functions, which must not be left by
 * an ERROR.
 */
static void
take_error(KafkaClient *client, rd_kafka_resp_err_t err, const char *text, bool fatal)
{
	KafkaFaultKind kind = fatal ? KAFKA_BROKEN : client_fault_kind(err);

	if (kind == KAFKA_BROKER_AWAY && err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
	{
		keep_trouble(client, text);
		client->trouble_is_refusal = false;
		return;
	}
	if (kind == KAFKA_BROKER_AWAY && client->last_trouble[0] != '\0')
	{
		/* all are down: because of what was wrong with the last one */
		kind = client->trouble_is_refusal ? KAFKA_REFUSED : KAFKA_BROKER_AWAY;
		client_keep_fault(client, kind, -1, client->last_trouble);
		return;
	}
	if (kind == KAFKA_REFUSED)
	{
		keep_trouble(client, text);
		text = client->last_trouble;
		client->trouble_is_refusal = true;
		client->refused_at = GetCurrentTimestamp();
	}
	if (kind != KAFKA_NO_FAULT)
		client_keep_fault(client, kind, -1, text);
}

/*
 * Callback for errors that travel with the records (a topic that is not there any
 * more): called on the main thread, inside rd_kafka_consume_batch_queue().
 */
static void
error_among_records(rd_kafka_t *handle, int err, const char *text, void *arg)
{
	take_error((KafkaClient *) arg, err, text, err == RD_KAFKA_RESP_ERR__FATAL);
}

/* A line of the library's log.  The event is destroyed before ereport, which may not return. */
static void
serve_log(KafkaClient *client, rd_kafka_event_t *event)
{
	const char *facility;
	const char *line;
	int			level;
	char		text[512] = "";

	if (rd_kafka_event_log(event, &facility, &line, &level) == 0)
		strlcpy(text, line, sizeof(text));
	rd_kafka_event_destroy(event);
	hide_secrets(client, text);
	if (text[0] != '\0')
		client_log(client, text);
}

void
client_serve(KafkaClient *client, KafkaEventHandler handler, void *arg)
{
	/* the length is cheaper than a poll of an empty queue */
	for (size_t n = rd_kafka_queue_length(client->events); n > 0; n--)
	{
		rd_kafka_event_t *event = rd_kafka_queue_poll(client->events, 0);

		if (event == NULL)
			return;
		switch (rd_kafka_event_type(event))
		{
			case RD_KAFKA_EVENT_LOG:
				serve_log(client, event);
				continue;		/* destroyed already */
			case RD_KAFKA_EVENT_ERROR:
				take_error(client, rd_kafka_event_error(event), rd_kafka_event_error_string(event),
						   rd_kafka_event_error_is_fatal(event));
				break;
			default:
				if (handler != NULL)
					handler(arg, event);
				break;
		}
		rd_kafka_event_destroy(event);
	}
}

rd_kafka_topic_t *
client_topic(KafkaClient *client)
{
	if (client->topic_handle == NULL)
		client->topic_handle = rd_kafka_topic_new(client->handle, client->topic, NULL);
	if (client->topic_handle == NULL)
		client_raise(client, rd_kafka_last_error(), "open");
	return client->topic_handle;
}

/* SQLSTATE and hint per kind of fault, for errors raised. */
static const struct
{
	int			sqlstate;
	const char *hint;
}			fault_reports[] =
{
	[KAFKA_NO_FAULT] = {ERRCODE_FDW_ERROR, "Try again."},
	[KAFKA_BROKER_AWAY] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
	"Check that the broker is running and that option \"bootstrap.servers\" of the server names it."},
	[KAFKA_OFFSET_LOST] = {ERRCODE_FDW_ERROR, "Choose an offset that is still in the log."},
	[KAFKA_TOPIC_MISSING] = {ERRCODE_FDW_TABLE_NOT_FOUND,
	"Create the topic in the broker, or correct option \"topic\" of the foreign table."},
	[KAFKA_REFUSED] = {ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	"Check the credentials in the user mapping, the security options of the server and the broker's permissions."},
	[KAFKA_BROKEN] = {ERRCODE_FDW_ERROR, "See the broker's log for the cause."},
};

void
client_raise(KafkaClient *client, rd_kafka_resp_err_t err, const char *what)
{
	KafkaFaultKind kind = client_fault_kind(err);
	const char *detail = rd_kafka_err2str(err);

	client_serve(client, NULL, NULL);
	/* the reason behind a plain time-out: refused connection, failed authentication */
	if ((kind == KAFKA_BROKER_AWAY || err == RD_KAFKA_RESP_ERR__AUTHENTICATION) &&
		client->last_trouble[0] != '\0')
		detail = client->last_trouble;
	ereport(ERROR,
			(errcode(fault_reports[kind].sqlstate),
			 errmsg("could not %s topic \"%s\"", what, client->topic),
			 errdetail("The Kafka client says: %s", detail),
			 errhint("%s", fault_reports[kind].hint)));
}

/*
 * The library cannot be interrupted in a blocking call, so each call is short and
 * an unanswered one is repeated with more time: an answer that takes longer than
 * the step is lost.  Errors that may pass are tried again until the time is over;
 * brokers that do not let us in get a moment for one that does.
 */
rd_kafka_resp_err_t
client_ask(KafkaClient *client, KafkaQuestion question, void *arg, int timeout_ms)
{
	TimestampTz start = GetCurrentTimestamp();
	TimestampTz end = TimestampTzPlusMilliseconds(start, timeout_ms);
	int			step = FIRST_STEP_MS;

	for (;;)
	{
		TimestampTz now;
		long		left;
		rd_kafka_resp_err_t err;

		CHECK_FOR_INTERRUPTS();
		now = GetCurrentTimestamp();
		left = TimestampDifferenceMilliseconds(now, end);
		err = question(client, arg, (int) Max(Min(left, step), 1));
		client_serve(client, NULL, NULL);
		if (client_fault_kind(err) != KAFKA_BROKER_AWAY)
			return err;
		if (client->refused_at >= start && TimestampDifferenceExceeds(start, now, REFUSED_PATIENCE_MS))
			return RD_KAFKA_RESP_ERR__AUTHENTICATION;
		if (left <= step)
			return err;
		if (err == RD_KAFKA_RESP_ERR__TIMED_OUT)
			step = Min(2 * step, LONGEST_STEP_MS);
		else if (err != RD_KAFKA_RESP_ERR__TRANSPORT)
			wait_for(-1, Min(left, FIRST_STEP_MS), WAIT_FOR_BROKER);	/* answered at once: do not spin */
	}
}
