/*
 * kafka_fault.c
 *		What the library's errors mean: none is forgotten, and those that decide
 *		between waiting, pausing and stopping are what they should be.
 *
 * LINK: src/kafka/fault.c -lrdkafka
 */
#include "postgres.h"

#include "kafka/client.h"
#include "tap.h"

static const struct
{
	rd_kafka_resp_err_t err;
	KafkaFaultKind kind;
}			expected[] =
{
	{RD_KAFKA_RESP_ERR_NO_ERROR, KAFKA_NO_FAULT},
	{RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR__TRANSPORT, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR__TIMED_OUT, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, KAFKA_BROKER_AWAY},
	{RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, KAFKA_OFFSET_LOST},
	{RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, KAFKA_OFFSET_LOST},
	{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, KAFKA_TOPIC_MISSING},
	{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, KAFKA_TOPIC_MISSING},
	{RD_KAFKA_RESP_ERR__AUTHENTICATION, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, KAFKA_REFUSED},
	{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, KAFKA_NO_FAULT},
	{RD_KAFKA_RESP_ERR__BAD_MSG, KAFKA_BROKEN},
	{RD_KAFKA_RESP_ERR__BAD_COMPRESSION, KAFKA_BROKEN},
	{RD_KAFKA_RESP_ERR__FATAL, KAFKA_BROKEN},
	{(rd_kafka_resp_err_t) 32000, KAFKA_BROKEN},
};

/* Brokers that only metadata names. */
static void
advertised(void)
{
	char		address[64] = "";

	ok(fault_advertised("lost.invalid:9092/1: Failed to resolve", "a:1,b:2", address, sizeof(address)) &&
	   strcmp(address, "lost.invalid:9092") == 0, "a broker named by metadata");
	ok(fault_advertised("sasl_ssl://h:9/12: Connect to ipv4#1.2.3.4:9 failed: refused", "other:9", address, sizeof(address)) &&
	   strcmp(address, "h:9") == 0, "with its protocol");
	ok(!fault_advertised("h:9/1: Connect failed", "a:1,h:9", address, sizeof(address)), "one that bootstrap.servers names, too");
	ok(!fault_advertised("h:9/1: Connect failed", "ssl://h:9", address, sizeof(address)), "with a protocol in front");
	ok(fault_advertised("h:9/1: Connect failed", "h:92,xh:9", address, sizeof(address)), "but not by part of a name");
	ok(!fault_advertised("h:9/bootstrap: Connect failed", "x:1", address, sizeof(address)), "a bootstrap broker");
	ok(fault_advertised("GroupCoordinator: h:9: Failed to resolve", "x:9", address, sizeof(address)) &&
	   strcmp(address, "h:9") == 0, "the coordinator, which is named otherwise");
	ok(!fault_advertised("GroupCoordinator: failed", "x:1", address, sizeof(address)), "no broker");
	ok(!fault_advertised("1/1 brokers are down", "x:1", address, sizeof(address)), "no broker either");
}

/* Passwords that the library does not bring through. */
static void
scram(void)
{
	const char *refused = "sasl_ssl://h:9/bootstrap: SASL authentication error: Authentication failed during authentication "
		"due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 5ms in state AUTH_REQ)";

	ok(fault_is_of_scram(refused, 0x020002ff), "SCRAM with librdkafka 2.0.2");
	ok(fault_is_of_scram(refused, 0x020600ff), "and 2.6.0");
	ok(!fault_is_of_scram(refused, 0x020601ff), "but not with 2.6.1");
	ok(!fault_is_of_scram("sasl://h:9/bootstrap: SASL authentication error: Authentication failed: Invalid username or password", 0x020002ff),
	   "nor with PLAIN");
}

int
main(void)
{
	const struct rd_kafka_err_desc *errors;
	size_t		n;
	int			counts[KAFKA_BROKEN + 1] = {0};

	for (int i = 0; i < lengthof(expected); i++)
		ok(client_fault_kind(expected[i].err) == expected[i].kind, "%s", rd_kafka_err2name(expected[i].err));

	advertised();
	scram();
	rd_kafka_get_err_descs(&errors, &n);
	for (size_t i = 0; i < n; i++)
	{
		if (errors[i].code != RD_KAFKA_RESP_ERR_NO_ERROR)	/* the list has holes */
			counts[client_fault_kind(errors[i].code)]++;
	}
	for (int kind = KAFKA_NO_FAULT; kind <= KAFKA_BROKEN; kind++)
		ok(counts[kind] > 0, "kind %d is the meaning of %d errors", kind, counts[kind]);
	return done_testing();
}
