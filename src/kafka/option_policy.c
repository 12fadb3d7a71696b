/*
 * option_policy.c
 *		The allow-list of librdkafka options.
 *
 * In goes an option's name, value, place and the rights of the role; out comes
 * NULL or the reason to refuse it.  librdkafka itself filters nothing: some of
 * its options run programs, load libraries, read files of the server's user,
 * install signal handlers or change what "consumed" means.  So every option that
 * may be set has a row in option_rules, and one class:
 *
 *	plain	who may create the server may set it
 *	secret	only in a user mapping, because everybody may read a server's options
 *	file	names a file or directory on the server: as in file_fdw, superusers and
 *			roles with the privileges of pg_read_server_files
 *	super	superusers, because it reaches further than the broker
 *	owned	deltaflow sets it: reliability or the process depends on its value
 *	never	executes code; nobody
 *
 * Numbers have a range; those that size buffers are capped well below what
 * librdkafka would take.  Some values of plain options are for superusers
 * (switching TLS verification off, Kerberos).
 *
 * Pure: palloc only, no catalog access, no state, no locks.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/varlena.h"

#include "kafka/option_policy.h"

typedef enum OptionClass
{
	CLASS_PLAIN,
	CLASS_SECRET,
	CLASS_FILE,
	CLASS_SUPER,
	CLASS_OWNED,
	CLASS_NEVER
} OptionClass;

typedef enum ValueKind
{
	VALUE_TEXT,					/* one line, printable */
	VALUE_PEM,					/* may hold line breaks */
	VALUE_BOOLEAN,
	VALUE_NUMBER,				/* from min to max */
	VALUE_CHOICE,				/* one of choices */
	VALUE_HOSTS					/* host:port, comma separated */
} ValueKind;

typedef struct OptionRule
{
	const char *name;
	OptionClass class;
	int			places;			/* OptionPlace bits */
	int			scope;			/* OptionScope bits */
	ValueKind	kind;
	int64		min;
	int64		max;
	const char *choices;		/* VALUE_CHOICE, separated by | */
	const char *super_values;	/* values only superusers may give, separated by | */
	const char *advice;			/* owned, never: why; file: what to set instead */
} OptionRule;

#define SERVER		OPTION_ON_SERVER
#define MAPPING		OPTION_ON_USER_MAPPING
#define TOPIC		OPTION_ON_TOPIC
#define BOTH		(OPTION_FOR_CONSUMER | OPTION_FOR_PRODUCER)
#define CONSUMER	OPTION_FOR_CONSUMER
#define PRODUCER	OPTION_FOR_PRODUCER

#define TEXT(n, p, s)				{n, CLASS_PLAIN, p, s, VALUE_TEXT}
#define BOOLEAN(n, p, s)			{n, CLASS_PLAIN, p, s, VALUE_BOOLEAN}
#define NUMBER(n, p, s, lo, hi)		{n, CLASS_PLAIN, p, s, VALUE_NUMBER, lo, hi}
#define CHOICE(n, p, s, c)			{n, CLASS_PLAIN, p, s, VALUE_CHOICE, 0, 0, c}
#define SECRET(n, k)				{n, CLASS_SECRET, MAPPING, BOTH, k}
#define FILE_OPTION(n, p, instead)	{n, CLASS_FILE, p, BOTH, VALUE_TEXT, 0, 0, NULL, NULL, instead}
#define SUPER(n, p, k)				{n, CLASS_SUPER, p, BOTH, k}
#define OWNED(n, why)				{n, CLASS_OWNED, 0, BOTH, VALUE_TEXT, 0, 0, NULL, NULL, why}
#define NEVER(n, why)				{n, CLASS_NEVER, 0, BOTH, VALUE_TEXT, 0, 0, NULL, NULL, why}

#define WHY_POSITIONS	"Positions are kept in the database, not in the broker."
#define WHY_SEMANTICS	"Exactly-once ingestion depends on its value."
#define WHY_PROCESS		"It would change how the client library behaves inside the server process."
#define WHY_CODE		"It makes the client library run or load code."
#define WHY_ALIAS		"It is another name of an option."

#define MB	INT64CONST(1048576)
#define DAY_MS	INT64CONST(86400000)

static const OptionRule option_rules[] = {
	/* where the broker is, and how to talk to it */
	{"bootstrap.servers", CLASS_PLAIN, SERVER, BOTH, VALUE_HOSTS},
	TEXT("client.id", SERVER, BOTH),
	TEXT("client.rack", SERVER, BOTH),
	CHOICE("broker.address.family", SERVER, BOTH, "any|v4|v6"),
	NUMBER("broker.address.ttl", SERVER, BOTH, 0, DAY_MS),
	CHOICE("client.dns.lookup", SERVER, BOTH, "use_all_dns_ips|resolve_canonical_bootstrap_servers_only"),
	BOOLEAN("api.version.request", SERVER, BOTH),
	NUMBER("api.version.request.timeout.ms", SERVER, BOTH, 1, 300000),
	NUMBER("socket.timeout.ms", SERVER, BOTH, 10, 300000),
	NUMBER("socket.connection.setup.timeout.ms", SERVER, BOTH, 1000, 300000),
	BOOLEAN("socket.keepalive.enable", SERVER, BOTH),
	BOOLEAN("socket.nagle.disable", SERVER, BOTH),
	NUMBER("socket.max.fails", SERVER, BOTH, 0, 1000000),
	NUMBER("socket.send.buffer.bytes", SERVER, BOTH, 0, 16 * MB),
	NUMBER("socket.receive.buffer.bytes", SERVER, BOTH, 0, 16 * MB),
	NUMBER("connections.max.idle.ms", SERVER, BOTH, 0, INT_MAX),
	NUMBER("reconnect.backoff.ms", SERVER, BOTH, 0, 3600000),
	NUMBER("reconnect.backoff.max.ms", SERVER, BOTH, 0, 3600000),
	NUMBER("retry.backoff.ms", SERVER, BOTH, 1, 300000),
	NUMBER("retry.backoff.max.ms", SERVER, BOTH, 1, 300000),
	NUMBER("metadata.max.age.ms", SERVER, BOTH, 1, DAY_MS),
	NUMBER("topic.metadata.refresh.fast.interval.ms", SERVER, BOTH, 1, 60000),
	BOOLEAN("enable.metrics.push", SERVER, BOTH),

	/* who we are */
	CHOICE("security.protocol", SERVER, BOTH, "plaintext|ssl|sasl_plaintext|sasl_ssl"),
	{"sasl.mechanism", CLASS_PLAIN, SERVER, BOTH, VALUE_CHOICE, 0, 0,
	"PLAIN|SCRAM-SHA-256|SCRAM-SHA-512|OAUTHBEARER|GSSAPI", "GSSAPI"},
	{"sasl.mechanisms", CLASS_PLAIN, SERVER, BOTH, VALUE_CHOICE, 0, 0,
	"PLAIN|SCRAM-SHA-256|SCRAM-SHA-512|OAUTHBEARER|GSSAPI", "GSSAPI"},
	TEXT("sasl.username", MAPPING, BOTH),
	SECRET("sasl.password", VALUE_TEXT),
	TEXT("sasl.oauthbearer.client.id", MAPPING, BOTH),
	TEXT("sasl.oauthbearer.scope", SERVER | MAPPING, BOTH),
	TEXT("sasl.oauthbearer.extensions", SERVER | MAPPING, BOTH),
	CHOICE("sasl.oauthbearer.method", SERVER, BOTH, "default|oidc"),
	SECRET("sasl.oauthbearer.client.secret", VALUE_TEXT),
	SECRET("sasl.oauthbearer.config", VALUE_TEXT),
	SUPER("sasl.oauthbearer.token.endpoint.url", SERVER, VALUE_TEXT),
	SUPER("enable.sasl.oauthbearer.unsecure.jwt", SERVER, VALUE_BOOLEAN),
	SUPER("sasl.kerberos.service.name", SERVER, VALUE_TEXT),
	SUPER("sasl.kerberos.principal", SERVER, VALUE_TEXT),
	SUPER("sasl.kerberos.keytab", SERVER, VALUE_TEXT),

	/* TLS */
	{"ssl.ca.pem", CLASS_PLAIN, SERVER, BOTH, VALUE_PEM},
	{"https.ca.pem", CLASS_PLAIN, SERVER, BOTH, VALUE_PEM},
	{"ssl.certificate.pem", CLASS_PLAIN, SERVER | MAPPING, BOTH, VALUE_PEM},
	SECRET("ssl.key.pem", VALUE_PEM),
	SECRET("ssl.key.password", VALUE_TEXT),
	SECRET("ssl.keystore.password", VALUE_TEXT),
	FILE_OPTION("ssl.ca.location", SERVER, "ssl.ca.pem"),
	FILE_OPTION("https.ca.location", SERVER, "https.ca.pem"),
	FILE_OPTION("ssl.certificate.location", SERVER | MAPPING, "ssl.certificate.pem"),
	FILE_OPTION("ssl.key.location", SERVER | MAPPING, "ssl.key.pem"),
	FILE_OPTION("ssl.keystore.location", SERVER | MAPPING, NULL),
	FILE_OPTION("ssl.crl.location", SERVER, NULL),
	TEXT("ssl.cipher.suites", SERVER, BOTH),
	TEXT("ssl.curves.list", SERVER, BOTH),
	TEXT("ssl.sigalgs.list", SERVER, BOTH),
	{"enable.ssl.certificate.verification", CLASS_PLAIN, SERVER, BOTH, VALUE_BOOLEAN, 0, 0, NULL, "false"},
	{"ssl.endpoint.identification.algorithm", CLASS_PLAIN, SERVER, BOTH, VALUE_CHOICE, 0, 0, "https|none", "none"},

	/* reading: memory is capped */
	NUMBER("fetch.wait.max.ms", SERVER | TOPIC, CONSUMER, 0, 300000),
	NUMBER("fetch.min.bytes", SERVER | TOPIC, CONSUMER, 1, 16 * MB),
	NUMBER("fetch.max.bytes", SERVER | TOPIC, CONSUMER, 1024, 64 * MB),
	NUMBER("fetch.message.max.bytes", SERVER | TOPIC, CONSUMER, 1024, 64 * MB),
	NUMBER("max.partition.fetch.bytes", SERVER | TOPIC, CONSUMER, 1024, 64 * MB),
	NUMBER("fetch.error.backoff.ms", SERVER | TOPIC, CONSUMER, 0, 300000),
	NUMBER("fetch.queue.backoff.ms", SERVER | TOPIC, CONSUMER, 0, 300000),
	NUMBER("queued.min.messages", SERVER | TOPIC, CONSUMER, 1, 10000000),
	NUMBER("queued.max.messages.kbytes", SERVER | TOPIC, CONSUMER, 1024, 262144),
	NUMBER("receive.message.max.bytes", SERVER | TOPIC, CONSUMER, 1000, 512 * MB),
	NUMBER("topic.metadata.refresh.interval.ms", SERVER | TOPIC, CONSUMER, 10, 3600000),

	/* writing */
	NUMBER("message.max.bytes", SERVER | TOPIC, PRODUCER, 1000, 512 * MB),
	NUMBER("queue.buffering.max.messages", SERVER | TOPIC, PRODUCER, 1, 10000000),
	NUMBER("queue.buffering.max.kbytes", SERVER | TOPIC, PRODUCER, 1, 1048576),
	NUMBER("queue.buffering.max.ms", SERVER | TOPIC, PRODUCER, 0, 900000),
	NUMBER("linger.ms", SERVER | TOPIC, PRODUCER, 0, 900000),
	NUMBER("batch.num.messages", SERVER | TOPIC, PRODUCER, 1, 1000000),
	NUMBER("batch.size", SERVER | TOPIC, PRODUCER, 1, 64 * MB),
	CHOICE("compression.codec", SERVER | TOPIC, PRODUCER, "none|gzip|snappy|lz4|zstd"),
	CHOICE("compression.type", SERVER | TOPIC, PRODUCER, "none|gzip|snappy|lz4|zstd"),
	NUMBER("compression.level", SERVER | TOPIC, PRODUCER, -1, 12),
	CHOICE("partitioner", SERVER | TOPIC, PRODUCER,
		   "random|consistent|consistent_random|murmur2|murmur2_random|fnv1a|fnv1a_random"),
	NUMBER("request.timeout.ms", SERVER | TOPIC, PRODUCER, 1, 900000),
	NUMBER("message.timeout.ms", SERVER | TOPIC, PRODUCER, 1, INT_MAX),
	NUMBER("delivery.timeout.ms", SERVER | TOPIC, PRODUCER, 1, INT_MAX),
	NUMBER("sticky.partitioning.linger.ms", SERVER | TOPIC, PRODUCER, 0, 900000),

	/* deltaflow's own */
	OWNED("group.id", WHY_POSITIONS),
	OWNED("group.instance.id", WHY_POSITIONS),
	OWNED("group.protocol", WHY_POSITIONS),
	OWNED("partition.assignment.strategy", WHY_POSITIONS),
	OWNED("session.timeout.ms", WHY_POSITIONS),
	OWNED("heartbeat.interval.ms", WHY_POSITIONS),
	OWNED("max.poll.interval.ms", WHY_POSITIONS),
	OWNED("enable.auto.commit", WHY_POSITIONS),
	OWNED("auto.commit.interval.ms", WHY_POSITIONS),
	OWNED("enable.auto.offset.store", WHY_POSITIONS),
	OWNED("auto.offset.reset", WHY_SEMANTICS),
	OWNED("isolation.level", WHY_SEMANTICS),
	OWNED("enable.partition.eof", WHY_SEMANTICS),
	OWNED("check.crcs", WHY_SEMANTICS),
	OWNED("acks", WHY_SEMANTICS),
	OWNED("request.required.acks", WHY_SEMANTICS),
	OWNED("enable.idempotence", WHY_SEMANTICS),
	OWNED("transactional.id", WHY_SEMANTICS),
	OWNED("delivery.report.only.error", WHY_SEMANTICS),
	OWNED("allow.auto.create.topics", WHY_SEMANTICS),
	OWNED("log.queue", WHY_PROCESS),
	OWNED("log_level", WHY_PROCESS),
	OWNED("debug", WHY_PROCESS),
	OWNED("statistics.interval.ms", WHY_PROCESS),
	OWNED("enabled_events", WHY_PROCESS),
	OWNED("internal.termination.signal", WHY_PROCESS),
	OWNED("sasl.kerberos.min.time.before.relogin", WHY_PROCESS),
	OWNED("metadata.broker.list", WHY_ALIAS),

	NEVER("plugin.library.paths", WHY_CODE),
	NEVER("sasl.kerberos.kinit.cmd", WHY_CODE),
	NEVER("ssl.engine.location", WHY_CODE),
	NEVER("ssl.engine.id", WHY_CODE),
	NEVER("ssl.providers", WHY_CODE),
};

/* Lengths beyond these are no honest values. */
#define MAX_TEXT_LENGTH		4096
#define MAX_PEM_LENGTH		262144

/* The rule of an option, or NULL. */
static const OptionRule *
find_rule(const char *name)
{
	for (int i = 0; i < lengthof(option_rules); i++)
	{
		if (strcmp(option_rules[i].name, name) == 0)
			return &option_rules[i];
	}
	return NULL;
}

bool
option_is_known(const char *name)
{
	return find_rule(name) != NULL;
}

/* An option nobody knows is treated as a secret: better to hide too much. */
bool
option_is_secret(const char *name)
{
	const OptionRule *rule = find_rule(name);

	return rule == NULL || rule->class == CLASS_SECRET;
}

bool
option_in_scope(const char *name, OptionScope scope)
{
	const OptionRule *rule = find_rule(name);

	return rule != NULL && (rule->scope & scope) != 0;
}

/* Makes a refusal; detail and hint may be NULL. */
static OptionRefusal *
refuse(int sqlstate, char *message, char *detail, char *hint)
{
	OptionRefusal *refusal = palloc(sizeof(OptionRefusal));

	refusal->sqlstate = sqlstate;
	refusal->message = message;
	refusal->detail = detail;
	refusal->hint = hint;
	return refusal;
}

/* Whether value is in a list separated by |, whatever its case (librdkafka ignores it too). */
static bool
in_list(const char *value, const char *list)
{
	size_t		len = strlen(value);

	for (const char *p = list; p != NULL && *p != '\0';)
	{
		size_t		n = strcspn(p, "|");

		if (n == len && pg_strncasecmp(p, value, n) == 0)
			return true;
		p += n;
		if (*p == '|')
			p++;
	}
	return false;
}

/* A list "a|b|c" as text for people: a, b, c. */
static char *
list_for_people(const char *list)
{
	char	   *text = palloc(2 * strlen(list) + 1);
	char	   *out = text;

	for (const char *p = list; *p != '\0'; p++)
	{
		if (*p == '|')
		{
			*out++ = ',';
			*out++ = ' ';
		}
		else
			*out++ = *p;
	}
	*out = '\0';
	return text;
}

/* The same settable option name but for a typing mistake, or NULL. */
static const char *
nearest_name(const char *name, OptionPlace place)
{
	const char *best = NULL;
	int			best_distance = 5;	/* further away it is another word */
	int			len = strlen(name);

	if (len > 100)
		return NULL;
	for (int i = 0; i < lengthof(option_rules); i++)
	{
		const OptionRule *rule = &option_rules[i];
		int			distance;

		if ((rule->places & place) == 0)
			continue;
		distance = varstr_levenshtein_less_equal(name, len, rule->name, strlen(rule->name),
												 1, 1, 1, best_distance, true);
		/* at least half of it must be right */
		if (distance < best_distance && distance <= len / 2)
		{
			best = rule->name;
			best_distance = distance;
		}
	}
	return best;
}

/* What to call the object that carries the option. */
static const char *
place_name(int place)
{
	if (place & OPTION_ON_SERVER)
		return "a server";
	if (place & OPTION_ON_USER_MAPPING)
		return "a user mapping";
	return "a foreign table";
}

/* No such option. */
static OptionRefusal *
refuse_unknown(const char *name, OptionPlace place)
{
	const char *nearest = nearest_name(name, place);

	return refuse(ERRCODE_FDW_INVALID_OPTION_NAME,
				  psprintf("invalid option \"%s\"", name),
				  NULL,
				  nearest ? psprintf("Perhaps you meant the option \"%s\".", nearest)
				  : pstrdup("Use the options of librdkafka by their own names; not all of them may be set."));
}

/* The option exists, but not for users. */
static OptionRefusal *
refuse_class(const OptionRule *rule)
{
	if (strcmp(rule->name, "metadata.broker.list") == 0)
		return refuse(ERRCODE_FDW_INVALID_OPTION_NAME,
					  psprintf("invalid option \"%s\"", rule->name), NULL,
					  pstrdup("Use \"bootstrap.servers\"."));
	if (rule->class == CLASS_OWNED)
		return refuse(ERRCODE_FDW_INVALID_OPTION_NAME,
					  psprintf("option \"%s\" is set by deltaflow", rule->name),
					  pstrdup(rule->advice), pstrdup("Remove the option."));
	return refuse(ERRCODE_FDW_INVALID_OPTION_NAME,
				  psprintf("option \"%s\" cannot be set from SQL", rule->name),
				  pstrdup(rule->advice), pstrdup("Remove the option."));
}

/* The option belongs to another kind of object. */
static OptionRefusal *
refuse_place(const OptionRule *rule, OptionPlace place)
{
	char	   *detail = NULL;

	if (rule->class == CLASS_SECRET)
		detail = psprintf("The options of %s can be read by every user.", place_name(place));
	return refuse(ERRCODE_FDW_INVALID_OPTION_NAME,
				  psprintf("option \"%s\" is not allowed for %s", rule->name, place_name(place)),
				  detail, psprintf("Set it for %s.", place_name(rule->places)));
}

/* The role lacks the right to the option, or to this value of it. */
static OptionRefusal *
check_rights(const OptionRule *rule, const char *value, OptionRights rights)
{
	if (rights.superuser)
		return NULL;
	if (rule->class == CLASS_FILE && !rights.read_files)
		return refuse(ERRCODE_INSUFFICIENT_PRIVILEGE,
					  psprintf("permission denied to set option \"%s\"", rule->name),
					  pstrdup("Only roles with privileges of the \"pg_read_server_files\" role may set options that name files on the server."),
					  rule->advice ? psprintf("Set \"%s\" to the content of the file instead.", rule->advice)
					  : pstrdup("Ask a superuser to set it."));
	if (rule->class == CLASS_SUPER)
		return refuse(ERRCODE_INSUFFICIENT_PRIVILEGE,
					  psprintf("permission denied to set option \"%s\"", rule->name),
					  pstrdup("Only superusers may set this option."),
					  pstrdup("Ask a superuser to set it."));
	if (rule->super_values != NULL && in_list(value, rule->super_values))
		return refuse(ERRCODE_INSUFFICIENT_PRIVILEGE,
					  psprintf("permission denied to set option \"%s\" to \"%s\"", rule->name, value),
					  pstrdup("Only superusers may set this value."),
					  pstrdup("Ask a superuser to set it, or choose another value."));
	return NULL;
}

/* A wrong value; what it must be goes to the hint.  Secrets are not repeated. */
static OptionRefusal *
refuse_value(const OptionRule *rule, const char *value, char *hint)
{
	bool		show = rule->class != CLASS_SECRET && strlen(value) <= 100;

	return refuse(ERRCODE_INVALID_PARAMETER_VALUE,
				  show ? psprintf("invalid value for option \"%s\": \"%s\"", rule->name, value)
				  : psprintf("invalid value for option \"%s\"", rule->name),
				  NULL, hint);
}

/* Whether the text is a whole decimal number from min to max. */
static bool
is_number_in(const char *text, int64 min, int64 max)
{
	char	   *end;
	long long	number;

	if (*text != '-' && (*text < '0' || *text > '9'))
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && number >= min && number <= max;
}

/*
 * Whether a list like "host:9092,[::1]:9093" holds only hosts and ports.  Paths,
 * schemes and blanks inside names are not for us to pass on.
 */
static bool
is_host_list(const char *value)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]%";

	for (const char *p = value;;)
	{
		size_t		n;
		char	   *entry;
		char	   *port;

		while (*p == ' ')
			p++;
		n = strcspn(p, ", ");
		if (n == 0 || strspn(p, allowed) < n)
			return false;
		entry = pnstrdup(p, n);
		port = strrchr(entry, ':');
		if (port == entry)
			return false;
		if (port != NULL && port[-1] != ']' && strchr(entry, ':') != port)
			port = NULL;		/* a bare IPv6 address */
		if (port != NULL && !is_number_in(port + 1, 1, 65535))
			return false;
		p += n;
		while (*p == ' ')
			p++;
		if (*p == '\0')
			return true;
		if (*p++ != ',')
			return false;
	}
}

/* Whether the value has a sane length and no control characters. */
static bool
is_sane_text(const char *value, ValueKind kind)
{
	size_t		len = strlen(value);

	if (len == 0 || len > (kind == VALUE_PEM ? MAX_PEM_LENGTH : MAX_TEXT_LENGTH))
		return false;
	for (const char *p = value; *p != '\0'; p++)
	{
		if ((unsigned char) *p >= ' ' && *p != 0x7f)
			continue;
		if (kind != VALUE_PEM || strchr("\r\n\t", *p) == NULL)
			return false;
	}
	return true;
}

/* Kerberos options end in a shell command's text when a ticket is fetched: letters, digits and a little more. */
static bool
is_kerberos_name(const char *value)
{
	return strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/@:") == strlen(value);
}

/* Whether the value is one of the option's. */
static OptionRefusal *
check_value(const OptionRule *rule, const char *value)
{
	if (!is_sane_text(value, rule->kind))
		return refuse_value(rule, rule->kind == VALUE_PEM ? "" : value,
							pstrdup("The value must not be empty, too long or contain control characters."));
	switch (rule->kind)
	{
		case VALUE_TEXT:
			if (strncmp(rule->name, "sasl.kerberos.", 14) == 0 && !is_kerberos_name(value))
				return refuse_value(rule, value, pstrdup("Only letters, digits and the characters . _ - / @ : are allowed."));
			break;
		case VALUE_PEM:
			break;
		case VALUE_BOOLEAN:
			if (!in_list(value, "true|false"))
				return refuse_value(rule, value, pstrdup("The value must be true or false."));
			break;
		case VALUE_NUMBER:
			if (!is_number_in(value, rule->min, rule->max))
				return refuse_value(rule, value,
									psprintf("The value must be a whole number from %lld to %lld.",
											 (long long) rule->min, (long long) rule->max));
			break;
		case VALUE_CHOICE:
			if (!in_list(value, rule->choices))
				return refuse_value(rule, value,
									psprintf("The value must be one of: %s.", list_for_people(rule->choices)));
			break;
		case VALUE_HOSTS:
			if (!is_host_list(value))
				return refuse_value(rule, value,
									pstrdup("Give host:port, separated by commas; the protocol goes into option \"security.protocol\"."));
			break;
	}
	return NULL;
}

OptionRefusal *
option_check(const char *name, const char *value, OptionPlace place, OptionRights rights)
{
	const OptionRule *rule = find_rule(name);
	OptionRefusal *refusal;

	if (rule == NULL)
		return refuse_unknown(name, place);
	if (rule->class == CLASS_OWNED || rule->class == CLASS_NEVER)
		return refuse_class(rule);
	if ((rule->places & place) == 0)
		return refuse_place(rule, place);
	refusal = check_rights(rule, value, rights);
	if (refusal == NULL)
		refusal = check_value(rule, value);
	return refusal;
}

/* The value of an option in the set; the last one counts, as in the library. */
static const char *
value_in_set(const KafkaOption *options, int noptions, const char *name)
{
	for (int i = noptions - 1; i >= 0; i--)
	{
		if (strcmp(options[i].name, name) == 0)
			return options[i].value;
	}
	return NULL;
}

/*
 * What SASL needs beside the protocol.  The mechanism must be explicit, because
 * librdkafka's default is Kerberos, with a shell command for tickets.
 */
static OptionRefusal *
check_sasl(const KafkaOption *options, int noptions)
{
	const char *protocol = value_in_set(options, noptions, "security.protocol");
	const char *mechanism = value_in_set(options, noptions, "sasl.mechanism");

	if (mechanism == NULL)
		mechanism = value_in_set(options, noptions, "sasl.mechanisms");
	if (protocol == NULL || pg_strncasecmp(protocol, "sasl_", 5) != 0)
		return NULL;
	if (mechanism == NULL)
		return refuse(ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
					  psprintf("option \"sasl.mechanism\" is required with security.protocol \"%s\"", protocol),
					  NULL, pstrdup("Set it for the server: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER."));
	if (!in_list(mechanism, "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512"))
		return NULL;
	if (value_in_set(options, noptions, "sasl.username") == NULL ||
		value_in_set(options, noptions, "sasl.password") == NULL)
		return refuse(ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
					  psprintf("user name or password is missing for SASL mechanism \"%s\"", mechanism),
					  NULL, pstrdup("Set \"sasl.username\" and \"sasl.password\" in the user mapping of the role that reads the topic."));
	return NULL;
}

OptionRefusal *
option_check_set(const KafkaOption *options, int noptions)
{
	for (int i = 0; i < noptions; i++)
	{
		const OptionRule *rule = find_rule(options[i].name);

		if (rule == NULL)
			return refuse_unknown(options[i].name, OPTION_ON_SERVER);
		if (rule->places == 0)
			return refuse_class(rule);
	}
	if (value_in_set(options, noptions, "bootstrap.servers") == NULL)
		return refuse(ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
					  pstrdup("option \"bootstrap.servers\" is required"), NULL,
					  pstrdup("Set it for the server: ALTER SERVER ... OPTIONS (ADD \"bootstrap.servers\" 'host:port')."));
	return check_sasl(options, noptions);
}
