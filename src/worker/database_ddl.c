/*
 * database_ddl.c
 *		Commands that cannot run while workers are connected or active.
 *
 * In: utility commands, before the server runs them.  DROP DATABASE, RENAME,
 * SET TABLESPACE and CREATE DATABASE ... TEMPLATE fail while anybody is connected
 * to the database; DROP and ALTER EXTENSION would wait for, or deadlock with,
 * epochs.  Out: the same commands, after the workers of that database were asked
 * to stop and have gone.
 *
 * The database stays held until the transaction ends, however it ends: no worker
 * starts in it.  Then the launcher looks at it again, so a rolled back DROP
 * EXTENSION, or a copied template, goes on where it was.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "worker/database_ddl.h"
#include "worker/slots.h"
#include "worker/wait.h"
#include "worker/wake.h"

/* Workers stop within the broker client's longest step; the server itself waits 5 s more. */
#define STOP_TIMEOUT_MS	10000
#define STOP_STEP_MS	10

static ProcessUtility_hook_type previous_utility = NULL;

/* The value of an option of CREATE or ALTER DATABASE, NULL when absent. */
static const char *
option_value(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/* The name of the database that a command must have for itself, NULL when none. */
static const char *
database_of_command(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return castNode(DropdbStmt, statement)->dbname;
		case T_RenameStmt:
			if (castNode(RenameStmt, statement)->renameType == OBJECT_DATABASE)
				return castNode(RenameStmt, statement)->subname;
			return NULL;
		case T_AlterDatabaseStmt:
			if (option_value(castNode(AlterDatabaseStmt, statement)->options, "tablespace") != NULL)
				return castNode(AlterDatabaseStmt, statement)->dbname;
			return NULL;
		case T_CreatedbStmt:
			return option_value(castNode(CreatedbStmt, statement)->options, "template");
		default:
			return NULL;
	}
}

/* Whether DROP EXTENSION names ours. */
static bool
drops_extension(const DropStmt *statement)
{
	ListCell   *lc;

	if (statement->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, statement->objects)
		if (strcmp(strVal(lfirst(lc)), "deltaflow") == 0)
			return true;
	return false;
}

/* Whether the command changes the extension itself, in this database. */
static bool
changes_extension(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropStmt:
			return drops_extension(castNode(DropStmt, statement));
		case T_AlterExtensionStmt:
			return strcmp(castNode(AlterExtensionStmt, statement)->extname, "deltaflow") == 0;
		default:
			return false;
	}
}

static bool
creates_extension(Node *statement)
{
	return IsA(statement, CreateExtensionStmt) &&
		strcmp(castNode(CreateExtensionStmt, statement)->extname, "deltaflow") == 0;
}

/*
 * Whether the user may stop that database's workers: without this test anybody
 * could, by a command that fails.  Templates, which others may copy, have none.
 */
static bool
may_stop(Oid database)
{
	return superuser() || object_ownercheck(DatabaseRelationId, database, GetUserId());
}

static void
release_at_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		database_release_all();
}

/* Holds the database until the transaction ends and waits until its workers are gone. */
static void
stop_workers(Oid database)
{
	static bool registered = false;
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), STOP_TIMEOUT_MS);

	if (!registered)
	{
		RegisterXactCallback(release_at_end, NULL);
		registered = true;
	}
	if (!database_hold(database))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many commands are waiting for deltaflow's workers to stop"),
				 errhint("Try again when they have finished.")));

	while (slots_terminate(database) > 0)
	{
		if (GetCurrentTimestamp() > deadline)
		{
			ereport(WARNING,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("deltaflow's workers did not stop in time"),
					 errhint("See pg_stat_activity for backend types that begin with \"deltaflow\".")));
			return;
		}
		wait_for(-1, STOP_STEP_MS, WAIT_FOR_WORKERS);
		CHECK_FOR_INTERRUPTS();
	}
}

/* What has to happen before the server runs the command. */
static void
before_command(Node *statement)
{
	const char *name = database_of_command(statement);
	Oid			database = name != NULL ? get_database_oid(name, true) : InvalidOid;

	if (OidIsValid(database) && may_stop(database))
		stop_workers(database);
	if (changes_extension(statement) && superuser())
		stop_workers(MyDatabaseId);
	if (creates_extension(statement))
		wake_workers_at_commit();
}

static void
deltaflow_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				  ProcessUtilityContext context, ParamListInfo params,
				  QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	before_command(pstmt->utilityStmt);
	if (previous_utility != NULL)
		previous_utility(pstmt, query, read_only_tree, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params, environment, dest, completion);
}

void
database_ddl_init(void)
{
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = deltaflow_utility;
}
