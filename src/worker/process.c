/*
 * process.c
 *		The skeleton of every process of deltaflow: registration, signals, settings,
 *		interrupts.
 *
 * In: a slot claimed by the parent, in bgw_extra.  Out: a process connected to its
 * database under forced settings.  SIGTERM only sets flags (the server's own
 * die()); it is acted on at interrupt checks, never inside the broker client.  At
 * a loop's top the process leaves quietly; in the middle of an epoch the check
 * raises FATAL, the transaction aborts, and exit callbacks close the client.
 *
 * No dynamic worker is restarted by the postmaster: its parent decides.  After a
 * crash the postmaster forgets dynamic workers and starts the launcher afresh.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "compat.h"
#include "worker/process.h"
#include "worker/settings.h"

#define LAUNCHER_RESTART_SECONDS 5

/*
 * Settings no ALTER DATABASE or ALTER ROLE may change in a worker: limits meant
 * for interactive sessions, what would change what code means, and what would make
 * an error that a subtransaction undoes the end of the process.  With the short
 * deadlock_timeout the worker, which can retry, is the victim of a deadlock that
 * users' triggers or keys make, rather than their session.
 */
static const struct
{
	const char *name;
	const char *value;
	bool		may_be_absent;	/* not in all server versions */
}			forced_settings[] = {
	{"statement_timeout", "0"},
	{"transaction_timeout", "0", true},
	{"idle_in_transaction_session_timeout", "0"},
	{"idle_session_timeout", "0"},
	{"exit_on_error", "off"},
	{"lock_timeout", "5s"},
	{"deadlock_timeout", "10ms"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_read_only", "off"},
	{"default_transaction_deferrable", "off"},
	{"session_replication_role", "origin"},
	{"row_security", "on"},
	{"jit", "off"},
	{"search_path", "pg_catalog, pg_temp"},
	{"zero_damaged_pages", "off"},
	{"client_min_messages", "warning"},
};

static void
force_settings(void)
{
	for (int i = 0; i < lengthof(forced_settings); i++)
	{
		if (forced_settings[i].may_be_absent &&
			GetConfigOption(forced_settings[i].name, true, false) == NULL)
			continue;
		SetConfigOption(forced_settings[i].name, forced_settings[i].value, PGC_SUSET, PGC_S_OVERRIDE);
	}
}

static void
describe_worker(BackgroundWorker *worker, const char *function, const char *type, const char *name)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, "deltaflow", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_type, type, sizeof(worker->bgw_type));
	strlcpy(worker->bgw_name, name, sizeof(worker->bgw_name));
}

void
process_register_launcher(void)
{
	BackgroundWorker worker;

	describe_worker(&worker, "deltaflow_launcher_main", "deltaflow launcher", "deltaflow launcher");
	worker.bgw_restart_time = LAUNCHER_RESTART_SECONDS;
	RegisterBackgroundWorker(&worker);
}

bool
process_start(const char *function, const char *type, const char *name,
			  const WorkerArgs *args, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	StaticAssertStmt(sizeof(WorkerArgs) <= BGW_EXTRALEN, "arguments must fit bgw_extra");
	describe_worker(&worker, function, type, name);
	memcpy(worker.bgw_extra, args, sizeof(*args));
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

void
process_begin(void)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	force_settings();
	SetConfigOption("application_name", MyBgworkerEntry->bgw_name, PGC_USERSET, PGC_S_OVERRIDE);
}

WorkerArgs
process_connect(void)
{
	WorkerArgs	args;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	if (!slots_exist() || !slot_attach(args.claim))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(args.database, InvalidOid, 0);
	return args;
}

void
process_interrupts(void)
{
	/* a cancel request came too late for the statement it was meant for */
	QueryCancelPending = false;

	/* the postmaster starts the launcher again unless it leaves with 0: then never */
	if (ProcDiePending)
		proc_exit(MyBgworkerEntry->bgw_restart_time == BGW_NEVER_RESTART ? 0 : 1);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	if (catchupInterruptPending)
		ProcessCatchupInterrupt();
}

void
process_statistics(void)
{
	(void) pgstat_report_stat(false);
}

void
process_activity(bool busy, const char *text)
{
	if (!busy)
		pgstat_report_stat(true);
	pgstat_report_activity(busy ? STATE_RUNNING : STATE_IDLE, text);
}
