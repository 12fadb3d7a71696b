/*
 * option_rights.c
 *		What a role may do with librdkafka options, and raising refusals.
 *
 * Apart from option_policy.c because it reads the catalogs, which the policy
 * itself must not.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"

#include "kafka/option_policy.h"

/* Rights of a role now. */
OptionRights
option_rights(Oid userid)
{
	OptionRights rights;

	rights.superuser = superuser_arg(userid);
	rights.read_files = has_privs_of_role(userid, ROLE_PG_READ_SERVER_FILES);
	return rights;
}

/* Raises a refusal as ERROR. */
void
option_refusal_raise(const OptionRefusal *refusal)
{
	ereport(ERROR,
			(errcode(refusal->sqlstate),
			 errmsg_internal("%s", refusal->message),
			 refusal->detail ? errdetail_internal("%s", refusal->detail) : 0,
			 refusal->hint ? errhint("%s", refusal->hint) : 0));
}
