/*
 * option_policy.h
 *		Which librdkafka options a user may set, where, and with which rights.
 *
 * An allow-list: what it does not name is refused.  Options keep librdkafka's own
 * names.  The check is pure (no catalog, no library call); a refusal is a value.
 */
#ifndef DELTAFLOW_KAFKA_OPTION_POLICY_H
#define DELTAFLOW_KAFKA_OPTION_POLICY_H

#include "compat.h"
#include "kafka/consumer.h"

/* Where an option stands; values are bits. */
typedef enum OptionPlace
{
	OPTION_ON_SERVER = 1,
	OPTION_ON_USER_MAPPING = 2,
	OPTION_ON_TOPIC = 4			/* the foreign table */
} OptionPlace;

/* Which kind of client an option is for; values are bits. */
typedef enum OptionScope
{
	OPTION_FOR_CONSUMER = 1,
	OPTION_FOR_PRODUCER = 2
} OptionScope;

/* What the role that sets an option, or on whose behalf it is used, may do. */
typedef struct OptionRights
{
	bool		superuser;
	bool		read_files;		/* has the privileges of pg_read_server_files */
} OptionRights;

/* Why an option is refused; text is palloc'd, detail and hint may be NULL. */
typedef struct OptionRefusal
{
	int			sqlstate;
	char	   *message;
	char	   *detail;
	char	   *hint;
} OptionRefusal;

/* One option; NULL when it may stand there. */
extern OptionRefusal *option_check(const char *name, const char *value,
								   OptionPlace place, OptionRights rights);

/*
 * The whole set that a client would be opened with (server's, mapping's and
 * topic's options together); NULL when it is complete and fits together.
 */
extern OptionRefusal *option_check_set(const KafkaOption *options, int noptions);

/* Whether the policy names the option, so that it is librdkafka's and not the wrapper's own. */
extern bool option_is_known(const char *name);

/* Whether its value must never be shown. */
extern bool option_is_secret(const char *name);

/* Whether an option the policy allows is meant for that kind of client. */
extern bool option_in_scope(const char *name, OptionScope scope);

/* Rights of a role, from the catalogs; and raising a refusal as ERROR. */
extern OptionRights option_rights(Oid userid);
pg_noreturn extern void option_refusal_raise(const OptionRefusal *refusal);

#endif							/* DELTAFLOW_KAFKA_OPTION_POLICY_H */
