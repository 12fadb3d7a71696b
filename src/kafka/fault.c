/*
 * fault.c
 *		What an error of the library means to deltaflow.
 *
 * In: an error code.  Out: one of five kinds that callers act upon: wait, pause
 * with the reason, ask for better credentials, give up.  What the table does not
 * name is KAFKA_BROKEN: better stop than read over something unheard of.  Of the
 * group that assign() makes us name, but that we never join, nothing matters.
 *
 * And an error's text: which broker it is about, whether that one is only known
 * because another one told of it, and whether the library itself may be to blame.
 *
 * Pure: a table and a search in it.
 */
#include "postgres.h"

#include "kafka/client.h"

/* Errors with a meaning of their own. */
static const struct
{
	rd_kafka_resp_err_t err;
	KafkaFaultKind kind;
}			fault_kinds[] =
{
	{RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR__TRANSPORT, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR__RESOLVE, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR__TIMED_OUT, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR__WAIT_COORD, KAFKA_NO_FAULT},
	{RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, KAFKA_BROKER_AWAY},

	{RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, KAFKA_OFFSET_LOST},
	{RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, KAFKA_OFFSET_LOST},

	{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, KAFKA_TOPIC_MISSING},
	{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, KAFKA_TOPIC_MISSING},
	{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, KAFKA_TOPIC_MISSING},
	{RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, KAFKA_TOPIC_MISSING},

	{RD_KAFKA_RESP_ERR__AUTHENTICATION, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR__SSL, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR_SECURITY_DISABLED, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR_POLICY_VIOLATION, KAFKA_REFUSED},

	{RD_KAFKA_RESP_ERR_NO_ERROR, KAFKA_NO_FAULT},
	{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, KAFKA_NO_FAULT},
	{RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, KAFKA_NO_FAULT},
	{RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, KAFKA_NO_FAULT},
	{RD_KAFKA_RESP_ERR_NOT_COORDINATOR, KAFKA_NO_FAULT},
};

KafkaFaultKind
client_fault_kind(rd_kafka_resp_err_t err)
{
	for (int i = 0; i < lengthof(fault_kinds); i++)
	{
		if (fault_kinds[i].err == err)
			return fault_kinds[i].kind;
	}
	return KAFKA_BROKEN;
}

/* Whether the address is one of a list of servers, with or without protocol. */
static bool
is_listed(const char *address, size_t len, const char *servers)
{
	const char *found;

	for (const char *from = servers; (found = strstr(from, address)) != NULL; from = found + 1)
		if ((found == servers || strchr(", /", found[-1]) != NULL) && strchr(", ", found[len]) != NULL)
			return true;
	return false;
}

/*
 * The address that a broker gives itself, when the text is about a broker that metadata
 * named and that address is none of bootstrap.servers; otherwise false.  Such texts begin
 * with "[ssl://]host:port/id: " or "GroupCoordinator: host:port: ".
 */
bool
fault_advertised(const char *text, const char *bootstrap, char *address, size_t size)
{
	static const char coordinator[] = "GroupCoordinator: ";
	bool		named = strncmp(text, coordinator, strlen(coordinator)) == 0;
	const char *begin = named ? text + strlen(coordinator) : text;
	const char *end = strstr(begin, ": ");
	const char *protocol = strstr(begin, "://");
	const char *stop;

	if (end == NULL)
		return false;
	if (protocol != NULL && protocol < end)
		begin = protocol + 3;
	stop = begin + strcspn(begin, "/ ");
	if (stop > end)
		stop = end;
	if (!named && (*stop != '/' || stop + 1 == end || strspn(stop + 1, "0123456789") != (size_t) (end - stop - 1)))
		return false;			/* not a number: a bootstrap broker, or no broker at all */
	if (stop == begin || (size_t) (stop - begin) >= size || memchr(begin, ':', stop - begin) == NULL)
		return false;
	memcpy(address, begin, stop - begin);
	address[stop - begin] = '\0';
	return !is_listed(address, stop - begin, bootstrap);
}

/* Until then SCRAM sent the client's nonce twice, which Kafka 4 takes for a wrong password. */
#define RIGHT_SCRAM_VERSION 0x02060100

bool
fault_is_of_scram(const char *text, int library_version)
{
	return library_version < RIGHT_SCRAM_VERSION &&
		strstr(text, "invalid credentials") != NULL && strstr(text, "SCRAM-SHA-") != NULL;
}
