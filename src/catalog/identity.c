/*
 * identity.c
 *		Who code runs as: the object's owner for what users wrote, the extension's
 *		owner for deltaflow's own tables.
 *
 * A switch changes user, security context and, where they differ, settings.  It
 * needs no PG_TRY: when an error escapes, the abort of the (sub)transaction puts
 * user, context and settings back, which is also how the server itself does it.
 * Setting a search_path costs microseconds and makes kept plans look twice, so it
 * is left alone where it is right already, as it always is in a worker.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/catalog.h"
#include "compat.h"

#define SAFE_SEARCH_PATH	"pg_catalog, pg_temp"

/* Opens a GUC level when none is open yet. */
static void
need_guc_level(Identity *identity)
{
	if (identity->guc_level == 0)
		identity->guc_level = NewGUCNestLevel();
}

/* Sets one setting until the level closes, unless it already has that value. */
static void
set_until_restore(Identity *identity, const char *name, const char *value)
{
	const char *now = GetConfigOption(name, true, false);

	if (now != NULL && strcmp(now, value) == 0)
		return;
	need_guc_level(identity);
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* Remembers who runs now, then becomes userid with the safe search_path. */
static Identity
become(Oid userid, int sec_context)
{
	Identity	before = {0};

	GetUserIdAndSecContext(&before.userid, &before.sec_context);
	SetUserIdAndSecContext(userid, before.sec_context | sec_context);
	set_until_restore(&before, "search_path", SAFE_SEARCH_PATH);
	return before;
}

Identity
identity_become(Oid userid, List *settings)
{
	Identity	before = become(userid, SECURITY_RESTRICTED_OPERATION | SECURITY_LOCAL_USERID_CHANGE);
	ListCell   *lc;

	foreach(lc, settings)
	{
		char	   *name = pstrdup(lfirst(lc));
		char	   *value = strchr(name, '=');

		if (value == NULL)
			elog(ERROR, "pinned setting \"%s\" has no value", name);
		*value++ = '\0';
		set_until_restore(&before, name, value);
		pfree(name);
	}
	return before;
}

/* The owner of deltaflow's tables, which is the role that created the extension. */
static Oid
extension_owner(void)
{
	Oid			schema = get_namespace_oid("deltaflow", true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid("pipeline", schema) : InvalidOid;
	HeapTuple	tuple;
	Oid			owner;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" is not installed in this database", "deltaflow"),
				 errhint("Run CREATE EXTENSION deltaflow.")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

Identity
identity_become_owner(void)
{
	return become(extension_owner(), SECURITY_LOCAL_USERID_CHANGE);
}

void
identity_restore(Identity before)
{
	if (before.guc_level != 0)
		AtEOXact_GUC(false, before.guc_level);
	SetUserIdAndSecContext(before.userid, before.sec_context);
}
