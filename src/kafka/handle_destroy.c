/*
 * handle_destroy.c
 *		The end of a handle of the library, within a time.
 *
 * Destroying waits for the library's threads, and they can wait for ever for a
 * reference that nobody gives back.  So a thread of our own destroys, and the main
 * thread waits for it for a few seconds at most:
 *
 *		main thread: make thread ── wait ──> done                     or: left behind, counted
 *		thread:                  stop partitions ── destroy ──> ends      runs on, harms nobody
 *
 * Whoever has left something behind ends with _exit; a worker does so soon
 * (worker/pipeline_worker.c), a session when its client leaves.
 */
#include "postgres.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "storage/ipc.h"
#include "utils/guc.h"

#include "kafka/client.h"

/* Destroying: so long for partitions to stop, and for all of it. */
#define CLOSE_LIMIT_MS	2000
#define CLOSE_STEP_MS	10
#define DESTROY_LIMIT	3		/* seconds */

static int	left_behind = 0;
static bool debug_leave_clients = false;

void
kafka_init_settings(void)
{
	DefineCustomBoolVariable("deltaflow.debug_leave_clients",
							 "Leaves every Kafka client behind that is closed.",
							 "For tests of what happens when the library does not stop.",
							 &debug_leave_clients, false, PGC_SUSET,
							 GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL | GUC_DISALLOW_IN_AUTO_FILE, NULL, NULL, NULL);
}

int
kafka_clients_left_behind(void)
{
	return left_behind;
}

/* What the thread that destroys a handle works on; malloc'ed, it may outlive the client. */
typedef struct Farewell
{
	rd_kafka_t *handle;
	bool		is_consumer;
	bool		never;			/* a test wants it left behind */
} Farewell;

/* Milliseconds on a clock of no particular beginning. */
static int64
thread_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64CONST(1000) + now.tv_nsec / 1000000;
}

/*
 * Stops a consumer's partitions.  That it has stopped is told through the queue, behind
 * all records that were fetched and not taken: a hundred thousand are quickly gone, but
 * a count of polls would not see the end of them.
 */
static void
stop_consuming(rd_kafka_t *handle)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
	int64		deadline = thread_clock_ms() + CLOSE_LIMIT_MS;

	rd_kafka_error_destroy(rd_kafka_consumer_close_queue(handle, queue));
	while (!rd_kafka_consumer_closed(handle) && thread_clock_ms() < deadline)
		rd_kafka_event_destroy(rd_kafka_queue_poll(queue, CLOSE_STEP_MS));
	rd_kafka_queue_destroy(queue);
}

/* Thread: stops what is consumed and destroys the handle.  Knows nothing of PostgreSQL. */
static void *
destroy_handle(void *arg)
{
	Farewell   *farewell = arg;
	rd_kafka_t *handle = farewell->handle;

	while (farewell->never)
		pause();
	if (farewell->is_consumer)
		stop_consuming(handle);
	rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	free(farewell);
	return NULL;
}

/*
 * The process ends while threads of the library still run: without the destructors
 * that exit() would pull away from under them (OpenSSL's among others).  Shared
 * memory has been left in good order before.
 */
static void
end_beside_threads(int code, Datum arg)
{
	_exit(code);
}

/*
 * Destroys a handle within DESTROY_LIMIT seconds or leaves it to its thread: the
 * library, up to 2.6 at least, can wait for ever for a reference that a response
 * arriving at the wrong moment keeps.  A backend must not: it could not even be
 * terminated.  What stays behind then is an idle thread or two and their memory.
 */
void
handle_destroy(rd_kafka_t *handle, bool is_consumer, const char *topic)
{
	Farewell   *farewell = malloc(sizeof(Farewell));
	pthread_t	thread;
	sigset_t	all;
	sigset_t	before;
	struct timespec limit;
	int			failed = ENOMEM;

	if (farewell != NULL)
	{
		farewell->handle = handle;
		farewell->is_consumer = is_consumer;
		farewell->never = debug_leave_clients;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		failed = pthread_create(&thread, NULL, destroy_handle, farewell);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (failed)
	{
		free(farewell);
		rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &limit);
	if (!debug_leave_clients)
		limit.tv_sec += DESTROY_LIMIT;
	if (pthread_timedjoin_np(thread, NULL, &limit) == 0)
		return;
	pthread_detach(thread);
	if (left_behind++ == 0)
		on_proc_exit(end_beside_threads, 0);
	ereport(LOG,
			(errmsg("Kafka client for topic \"%s\" did not stop within %d seconds and is left behind",
					topic, DESTROY_LIMIT),
			 errhidestmt(true)));
}
