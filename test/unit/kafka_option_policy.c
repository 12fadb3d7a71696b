/*
 * kafka_option_policy.c
 *		The allow-list of librdkafka options: what may stand where, for whom, with
 *		which values.
 *
 * The policy is pure but for palloc and the server's edit distance; both have
 * stand-ins here.
 *
 * LINK: src/kafka/option_policy.c -lrdkafka
 */
#define _GNU_SOURCE
#include "postgres.h"

#include <strings.h>

#include <librdkafka/rdkafka.h>

#include "kafka/option_policy.h"
#include "tap.h"

#undef vsnprintf
#undef vfprintf
#undef snprintf

/* --- stand-ins for the server --- */

/* What palloc gives is freed with its context in the server, here with the process. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

void *
palloc(Size size)
{
	return malloc(size);
}

char *
pstrdup(const char *in)
{
	return strdup(in);
}

char *
pnstrdup(const char *in, Size len)
{
	return strndup(in, len);
}

char *
psprintf(const char *fmt,...)
{
	va_list		args;
	char	   *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		abort();
	va_end(args);
	return text;
}

int
pg_strcasecmp(const char *s1, const char *s2)
{
	return strcasecmp(s1, s2);
}

int
pg_strncasecmp(const char *s1, const char *s2, size_t n)
{
	return strncasecmp(s1, s2, n);
}

/* The textbook's edit distance; the server's is the same with a limit. */
int
varstr_levenshtein_less_equal(const char *source, int slen, const char *target, int tlen,
							  int ins_c, int del_c, int sub_c, int max_d, bool trusted)
{
	int			row[256];

	for (int j = 0; j <= tlen; j++)
		row[j] = j;
	for (int i = 1; i <= slen; i++)
	{
		int			diagonal = row[0];

		row[0] = i;
		for (int j = 1; j <= tlen; j++)
		{
			int			above = row[j];
			int			best = diagonal + (source[i - 1] != target[j - 1]);

			best = Min(best, above + 1);
			best = Min(best, row[j - 1] + 1);
			diagonal = above;
			row[j] = best;
		}
	}
	return row[tlen];
}

/* --- the tests --- */

static const OptionRights nobody = {false, false};
static const OptionRights reader = {false, true};
static const OptionRights super = {true, true};

/* The option is taken. */
static void
takes(const char *name, const char *value, OptionPlace place, OptionRights rights)
{
	OptionRefusal *refusal = option_check(name, value, place, rights);

	ok(refusal == NULL, "%s = %.*s is allowed%s%s", name, (int) strcspn(value, "\n"), value,
	   refusal ? ", not: " : "", refusal ? refusal->message : "");
}

/* The option is refused, with a word in message, detail or hint. */
static void
refuses(const char *name, const char *value, OptionPlace place, OptionRights rights, const char *word)
{
	OptionRefusal *refusal = option_check(name, value, place, rights);
	char	   *text = refusal == NULL ? pstrdup("(allowed)") :
		psprintf("%s|%s|%s", refusal->message, refusal->detail ? refusal->detail : "",
				 refusal->hint ? refusal->hint : "");
	bool		found = strstr(text, word) != NULL;

	text[strcspn(text, "\n")] = '\0';
	ok(refusal != NULL && refusal->hint != NULL && found, "%s is refused: %s", name, text);
}

/* Which options exist, and where. */
static void
test_places(void)
{
	takes("bootstrap.servers", "localhost:9092", OPTION_ON_SERVER, nobody);
	refuses("bootstrap.servers", "localhost:9092", OPTION_ON_USER_MAPPING, nobody, "Set it for a server.");
	refuses("bootstrap.servers", "localhost:9092", OPTION_ON_TOPIC, super, "not allowed for a foreign table");
	takes("sasl.password", "secret", OPTION_ON_USER_MAPPING, nobody);
	refuses("sasl.password", "secret", OPTION_ON_SERVER, super, "can be read by every user");
	takes("linger.ms", "10", OPTION_ON_TOPIC, nobody);
	refuses("bootstrap.server", "localhost", OPTION_ON_SERVER, nobody, "\"bootstrap.servers\"");
	refuses("sasl.pasword", "x", OPTION_ON_USER_MAPPING, nobody, "\"sasl.password\"");
	refuses("completely.else", "x", OPTION_ON_SERVER, nobody, "by their own names");
	refuses("metadata.broker.list", "x", OPTION_ON_SERVER, super, "Use \"bootstrap.servers\"");
	refuses("group.id", "x", OPTION_ON_SERVER, super, "set by deltaflow");
	refuses("auto.offset.reset", "earliest", OPTION_ON_SERVER, super, "set by deltaflow");
	refuses("plugin.library.paths", "x", OPTION_ON_SERVER, super, "cannot be set from SQL");
	refuses("sasl.kerberos.kinit.cmd", "id", OPTION_ON_SERVER, super, "cannot be set from SQL");
	refuses("", "x", OPTION_ON_SERVER, super, "invalid option");
}

/* Who may set what. */
static void
test_rights(void)
{
	refuses("ssl.ca.location", "/etc/ca.pem", OPTION_ON_SERVER, nobody, "pg_read_server_files");
	takes("ssl.ca.location", "/etc/ca.pem", OPTION_ON_SERVER, reader);
	takes("ssl.ca.pem", "-----BEGIN CERTIFICATE-----\nMII=\n", OPTION_ON_SERVER, nobody);
	refuses("sasl.mechanism", "GSSAPI", OPTION_ON_SERVER, reader, "superuser");
	takes("sasl.mechanism", "GSSAPI", OPTION_ON_SERVER, super);
	takes("sasl.mechanism", "SCRAM-SHA-512", OPTION_ON_SERVER, nobody);
	refuses("enable.ssl.certificate.verification", "FALSE", OPTION_ON_SERVER, nobody, "superuser");
	takes("enable.ssl.certificate.verification", "true", OPTION_ON_SERVER, nobody);
	refuses("ssl.endpoint.identification.algorithm", "none", OPTION_ON_SERVER, nobody, "superuser");
	refuses("sasl.oauthbearer.token.endpoint.url", "http://169.254.169.254/", OPTION_ON_SERVER, reader, "superuser");
	refuses("sasl.kerberos.principal", "x;rm -rf /", OPTION_ON_SERVER, super, "Only letters");
}

/* Which values. */
static void
test_values(void)
{
	takes("fetch.wait.max.ms", "0", OPTION_ON_SERVER, nobody);
	refuses("fetch.wait.max.ms", "-1", OPTION_ON_SERVER, nobody, "from 0 to 300000");
	refuses("fetch.wait.max.ms", "10ms", OPTION_ON_SERVER, nobody, "whole number");
	refuses("fetch.wait.max.ms", " 10", OPTION_ON_SERVER, nobody, "whole number");
	refuses("fetch.wait.max.ms", "99999999999999999999", OPTION_ON_SERVER, nobody, "whole number");
	refuses("queued.max.messages.kbytes", "2097151", OPTION_ON_SERVER, super, "to 262144");
	refuses("socket.keepalive.enable", "perhaps", OPTION_ON_SERVER, nobody, "true or false");
	takes("compression.type", "ZSTD", OPTION_ON_TOPIC, nobody);
	refuses("compression.type", "zip", OPTION_ON_TOPIC, nobody, "gzip, snappy, lz4, zstd");
	refuses("client.id", "a\nb", OPTION_ON_SERVER, nobody, "control characters");
	refuses("client.id", "", OPTION_ON_SERVER, nobody, "empty");
	refuses("sasl.password", "top\x01secret", OPTION_ON_USER_MAPPING, nobody, "invalid value for option \"sasl.password\"|");
}

/* Hosts and ports, and nothing else. */
static void
test_hosts(void)
{
	static const char *const good[] = {
		"localhost", "localhost:9092", "a:1,b:2", "a:1, b:2", "10.0.0.1:65535", "[::1]:9092", "::1", "broker-1.example_x.org:9092"
	};
	static const char *const bad[] = {
		"localhost:", "localhost:0", "localhost:65536", "localhost:x", ":9092", "a,,b", "a,", ",a", "a b",
		"PLAINTEXT://a:1", "/tmp/.s.PGSQL.5432", "a:1;b:2", "[::1]:x", "a:-1"
	};

	for (int i = 0; i < lengthof(good); i++)
		takes("bootstrap.servers", good[i], OPTION_ON_SERVER, nobody);
	for (int i = 0; i < lengthof(bad); i++)
		refuses("bootstrap.servers", bad[i], OPTION_ON_SERVER, nobody, "host:port");
}

/* The whole set fits together. */
static void
test_sets(void)
{
	KafkaOption options[] = {
		{"bootstrap.servers", "a:1"},
		{"security.protocol", "SASL_SSL"},
		{"sasl.mechanism", "PLAIN"},
		{"sasl.username", "u"},
		{"sasl.password", "p"},
		{"group.id", "x"},
	};
	OptionRefusal *refusal;

	ok(option_check_set(options, 1) == NULL, "a broker is enough");
	refusal = option_check_set(options, 0);
	ok(refusal && strstr(refusal->message, "bootstrap.servers"), "no broker: %s", refusal ? refusal->message : "");
	refusal = option_check_set(options, 2);
	ok(refusal && strstr(refusal->message, "sasl.mechanism"), "no mechanism: %s", refusal ? refusal->message : "");
	refusal = option_check_set(options, 4);
	ok(refusal && strstr(refusal->hint, "user mapping"), "no password: %s", refusal ? refusal->hint : "");
	ok(option_check_set(options, 5) == NULL, "complete");
	refusal = option_check_set(options, 6);
	ok(refusal && strstr(refusal->message, "group.id"), "an option of ours does not slip in: %s", refusal ? refusal->message : "");
}

/* What is kept out of texts, and which client an option is for. */
static void
test_attributes(void)
{
	ok(option_is_secret("sasl.password") && option_is_secret("ssl.key.pem"), "secrets are known");
	ok(!option_is_secret("bootstrap.servers"), "a host is no secret");
	ok(option_is_secret("something.new"), "what nobody knows is hidden");
	ok(option_in_scope("linger.ms", OPTION_FOR_PRODUCER) && !option_in_scope("linger.ms", OPTION_FOR_CONSUMER),
	   "producers linger, consumers do not");
	ok(option_is_known("group.id") && !option_is_known("topic"), "known names are the library's");
}

/* Every option the policy allows must be one that some version of the library has. */
static void
test_library(void)
{
	static const char *const plain[] = {
		"client.id", "socket.timeout.ms", "fetch.min.bytes", "queued.max.messages.kbytes", "linger.ms", "compression.type",
		"partitioner", "ssl.ca.pem", "sasl.username", "sasl.oauthbearer.scope", "receive.message.max.bytes", "message.timeout.ms"
	};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		text[256];

	for (int i = 0; i < lengthof(plain); i++)
		ok(option_is_known(plain[i]) &&
		   rd_kafka_conf_set(conf, plain[i], "", text, sizeof(text)) != RD_KAFKA_CONF_UNKNOWN,
		   "%s is an option of the library", plain[i]);
	rd_kafka_conf_destroy(conf);
}

int
main(void)
{
	test_places();
	test_rights();
	test_values();
	test_hosts();
	test_sets();
	test_attributes();
	test_library();
	return done_testing();
}
