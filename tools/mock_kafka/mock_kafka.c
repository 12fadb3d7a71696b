/*
 * mock_kafka.c
 *		librdkafka's mock cluster as a process of its own, for tests and the demo.
 *
 *	mock_kafka [--brokers N] [--topic NAME:PARTITIONS]... [--port-file FILE]
 *			   [--control SOCKET] [--stdin] [--verbose]
 *
 * In: commands, one a line, from standard input (--stdin: ends when it closes) or
 * from clients of a Unix socket (--control).  Out: the bootstrap address, into
 * FILE (complete when it exists) or on standard output; one answer line per
 * command, "ok" or "error: ...".  Ends at SIGTERM, SIGINT or "quit".
 *
 *	create TOPIC PARTITIONS			a topic; clients' requests create it too, with 4
 *	down BROKER | up BROKER			brokers are numbered from 1; 0: all of them
 *	error API CODE [COUNT]			the next COUNT requests of that kind fail
 *	clear API						forget errors not given yet
 *	topic_error TOPIC CODE			every request about the topic fails; NO_ERROR ends it
 *	leader TOPIC PARTITION BROKER
 *	rtt BROKER MILLISECONDS			answers take as long
 *	quit
 *
 * API is produce, fetch, list_offsets, metadata, find_coordinator, api_versions,
 * init_producer_id or a number of the protocol; CODE the protocol's error name
 * (NOT_LEADER_FOR_PARTITION) or number.
 *
 * It must not share a process with a server: the mock's thread takes signals.
 * It keeps 5 MB or 100,000 records per partition and trims older ones; it knows
 * neither transactions nor offsets by time.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define MAX_PEERS	16
#define LINE_SIZE	512
#define MAX_WORDS	5

/* Somebody who sends commands: standard input or a client of the socket. */
typedef struct Peer
{
	int			in;				/* -1: free */
	int			out;
	size_t		used;
	char		line[LINE_SIZE];
} Peer;

static rd_kafka_mock_cluster_t *cluster;
static int	nbrokers = 1;
static int	stop_pipe[2];
static bool stopping = false;

/* Tells what is wrong with the call and ends. */
static void
die(const char *format,...)
{
	va_list		args;

	fprintf(stderr, "mock_kafka: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* SIGTERM and SIGINT, on whatever thread: wake the main loop. */
static void
on_stop_signal(int signo)
{
	int			saved_errno = errno;

	(void) signo;
	if (write(stop_pipe[1], "x", 1) < 0)
		_exit(1);
	errno = saved_errno;
}

/* A whole number from min to max, or false. */
static bool
parse_number(const char *text, int min, int max, int *number)
{
	char	   *end;
	long		value = strtol(text, &end, 10);

	if (end == text || *end != '\0' || value < min || value > max)
		return false;
	*number = (int) value;
	return true;
}

/* The protocol's number of a kind of request. */
static bool
parse_api(const char *text, int *api)
{
	static const struct
	{
		const char *name;
		int			number;
	}			apis[] = {
		{"produce", 0}, {"fetch", 1}, {"list_offsets", 2}, {"metadata", 3},
		{"find_coordinator", 10}, {"api_versions", 18}, {"init_producer_id", 22}
	};

	for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++)
	{
		if (strcasecmp(text, apis[i].name) == 0)
		{
			*api = apis[i].number;
			return true;
		}
	}
	return parse_number(text, 0, 1000, api);
}

/* An error of the protocol by name or number. */
static bool
parse_error(const char *text, rd_kafka_resp_err_t *err)
{
	const struct rd_kafka_err_desc *list;
	size_t		n;
	int			number;

	if (parse_number(text, 0, 1000, &number))
	{
		*err = (rd_kafka_resp_err_t) number;
		return true;
	}
	rd_kafka_get_err_descs(&list, &n);
	for (size_t i = 0; i < n; i++)
	{
		if (list[i].name != NULL && strcasecmp(text, list[i].name) == 0)
		{
			*err = list[i].code;
			return true;
		}
	}
	return false;
}

/* What a command says: NULL when it worked. */
typedef const char *(*CommandFunction) (char **args, int nargs);

/* Text of an error, or NULL. */
static const char *
outcome(rd_kafka_resp_err_t err)
{
	return err == RD_KAFKA_RESP_ERR_NO_ERROR ? NULL : rd_kafka_err2str(err);
}

static const char *
do_create(char **args, int nargs)
{
	int			partitions;

	(void) nargs;
	if (!parse_number(args[1], 1, 10000, &partitions))
		return "not a number of partitions";
	return outcome(rd_kafka_mock_topic_create(cluster, args[0], partitions, 1));
}

/* Calls set for one broker, or for all when it is 0. */
static const char *
for_brokers(const char *which, rd_kafka_resp_err_t (*set) (rd_kafka_mock_cluster_t *, int32_t))
{
	int			broker;
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (!parse_number(which, 0, nbrokers, &broker))
		return "no such broker";
	for (int i = 1; i <= nbrokers && !err; i++)
	{
		if (broker == 0 || broker == i)
			err = set(cluster, i);
	}
	return outcome(err);
}

static const char *
do_down(char **args, int nargs)
{
	(void) nargs;
	return for_brokers(args[0], rd_kafka_mock_broker_set_down);
}

static const char *
do_up(char **args, int nargs)
{
	(void) nargs;
	return for_brokers(args[0], rd_kafka_mock_broker_set_up);
}

static const char *
do_error(char **args, int nargs)
{
	int			api;
	int			count = 1;
	rd_kafka_resp_err_t err;

	if (!parse_api(args[0], &api))
		return "no such kind of request";
	if (!parse_error(args[1], &err))
		return "no such error";
	if (nargs > 2 && !parse_number(args[2], 1, 1000000, &count))
		return "not a count";
	for (int i = 0; i < count; i++)
		rd_kafka_mock_push_request_errors_array(cluster, (int16_t) api, 1, &err);
	return NULL;
}

static const char *
do_clear(char **args, int nargs)
{
	int			api;

	(void) nargs;
	if (!parse_api(args[0], &api))
		return "no such kind of request";
	rd_kafka_mock_clear_request_errors(cluster, (int16_t) api);
	return NULL;
}

static const char *
do_topic_error(char **args, int nargs)
{
	rd_kafka_resp_err_t err;

	(void) nargs;
	if (!parse_error(args[1], &err))
		return "no such error";
	rd_kafka_mock_topic_set_error(cluster, args[0], err);
	return NULL;
}

static const char *
do_leader(char **args, int nargs)
{
	int			partition;
	int			broker;

	(void) nargs;
	if (!parse_number(args[1], 0, 10000, &partition))
		return "not a partition";
	if (!parse_number(args[2], 1, nbrokers, &broker))
		return "no such broker";
	return outcome(rd_kafka_mock_partition_set_leader(cluster, args[0], partition, broker));
}

static const char *
do_rtt(char **args, int nargs)
{
	int			broker;
	int			rtt;

	(void) nargs;
	if (!parse_number(args[0], 1, nbrokers, &broker))
		return "no such broker";
	if (!parse_number(args[1], 0, 600000, &rtt))
		return "not a time";
	return outcome(rd_kafka_mock_broker_set_rtt(cluster, broker, rtt));
}

static const char *
do_quit(char **args, int nargs)
{
	(void) args;
	(void) nargs;
	stopping = true;
	return NULL;
}

static const struct
{
	const char *name;
	int			min_args;
	int			max_args;
	CommandFunction function;
}			commands[] =
{
	{"create", 2, 2, do_create},
	{"down", 1, 1, do_down},
	{"up", 1, 1, do_up},
	{"error", 2, 3, do_error},
	{"clear", 1, 1, do_clear},
	{"topic_error", 2, 2, do_topic_error},
	{"leader", 3, 3, do_leader},
	{"rtt", 2, 2, do_rtt},
	{"quit", 0, 0, do_quit},
};

/* Runs a command line; what went wrong, or NULL. */
static const char *
run_command(char *line)
{
	char	   *words[MAX_WORDS + 1];
	int			n = 0;

	for (char *word = strtok(line, " \t\r"); word != NULL && n <= MAX_WORDS; word = strtok(NULL, " \t\r"))
		words[n++] = word;
	if (n == 0)
		return NULL;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
	{
		if (strcmp(words[0], commands[i].name) != 0)
			continue;
		if (n - 1 < commands[i].min_args || n - 1 > commands[i].max_args)
			return "wrong number of arguments";
		return commands[i].function(words + 1, n - 1);
	}
	return "no such command";
}

/* Answers a command; a peer that is gone is found out by the next read. */
static void
answer(Peer *peer, const char *problem)
{
	char		text[LINE_SIZE];
	int			len;

	if (problem == NULL)
		len = snprintf(text, sizeof(text), "ok\n");
	else
		len = snprintf(text, sizeof(text), "error: %s\n", problem);
	if (write(peer->out, text, len) < 0)
		return;
}

/* Reads what a peer sent and runs the whole lines in it; false at its end. */
static bool
serve_peer(Peer *peer)
{
	ssize_t		n = read(peer->in, peer->line + peer->used, LINE_SIZE - 1 - peer->used);
	char	   *newline;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	peer->used += n;
	peer->line[peer->used] = '\0';
	while ((newline = strchr(peer->line, '\n')) != NULL)
	{
		*newline = '\0';
		answer(peer, run_command(peer->line));
		peer->used -= newline + 1 - peer->line;
		memmove(peer->line, newline + 1, peer->used + 1);
	}
	return peer->used < LINE_SIZE - 1;
}

/* The Unix socket for commands. */
static int
open_control(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int			fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		die("path of the control socket is too long: %s", path);
	strcpy(address.sun_path, path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 5) < 0)
		die("could not listen on %s: %s", path, strerror(errno));
	return fd;
}

/* A new client of the socket; too many are turned away. */
static void
accept_peer(int listener, Peer *peers)
{
	int			fd = accept(listener, NULL, NULL);

	for (int i = 0; fd >= 0 && i < MAX_PEERS; i++)
	{
		if (peers[i].in >= 0)
			continue;
		peers[i].in = peers[i].out = fd;
		peers[i].used = 0;
		return;
	}
	if (fd >= 0)
		close(fd);
}

/* Waits for commands and runs them until told to stop. */
static void
serve(int listener, bool use_stdin)
{
	Peer		peers[MAX_PEERS];
	struct pollfd fds[MAX_PEERS + 2];

	for (int i = 0; i < MAX_PEERS; i++)
		peers[i].in = -1;
	if (use_stdin)
	{
		peers[0].in = STDIN_FILENO;
		peers[0].out = STDOUT_FILENO;
		peers[0].used = 0;
	}
	while (!stopping)
	{
		for (int i = 0; i < MAX_PEERS; i++)
			fds[i] = (struct pollfd) {.fd = peers[i].in, .events = POLLIN};
		fds[MAX_PEERS] = (struct pollfd) {.fd = stop_pipe[0], .events = POLLIN};
		fds[MAX_PEERS + 1] = (struct pollfd) {.fd = listener, .events = POLLIN};
		if (poll(fds, MAX_PEERS + 2, -1) < 0)
		{
			if (errno == EINTR)
				continue;
			die("could not wait for commands: %s", strerror(errno));
		}
		if (fds[MAX_PEERS].revents)
			return;
		if (fds[MAX_PEERS + 1].revents)
			accept_peer(listener, peers);
		for (int i = 0; i < MAX_PEERS; i++)
		{
			if (fds[i].fd < 0 || fds[i].revents == 0 || serve_peer(&peers[i]))
				continue;
			if (peers[i].in == STDIN_FILENO)
				return;
			close(peers[i].in);
			peers[i].in = -1;
		}
	}
}

/* Publishes the bootstrap address; a file appears only when it is complete. */
static void
publish_address(const char *file)
{
	const char *address = rd_kafka_mock_cluster_bootstraps(cluster);
	char		temporary[4096];
	FILE	   *out;

	if (file == NULL)
	{
		printf("%s\n", address);
		fflush(stdout);
		return;
	}
	snprintf(temporary, sizeof(temporary), "%s.new", file);
	out = fopen(temporary, "w");
	if (out == NULL || fprintf(out, "%s\n", address) < 0 || fclose(out) != 0 ||
		rename(temporary, file) != 0)
		die("could not write %s: %s", file, strerror(errno));
}

/* Creates a topic given as NAME:PARTITIONS. */
static void
create_topic(char *definition)
{
	char	   *colon = strrchr(definition, ':');
	char	   *args[2] = {definition, "1"};
	const char *problem;

	if (colon != NULL)
	{
		*colon = '\0';
		args[1] = colon + 1;
	}
	problem = do_create(args, 2);
	if (problem != NULL)
		die("could not create topic %s: %s", definition, problem);
}

/* The mock lives in a client that does nothing else. */
static rd_kafka_t *
start_cluster(bool verbose)
{
	char		text[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_t *handle;

	rd_kafka_conf_set(conf, "log_level", verbose ? "7" : "3", NULL, 0);
	if (verbose)
		rd_kafka_conf_set(conf, "debug", "mock", NULL, 0);
	handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (handle == NULL)
		die("could not create a client: %s", text);
	cluster = rd_kafka_mock_cluster_new(handle, nbrokers);
	if (cluster == NULL)
		die("could not start the mock cluster");
	return handle;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"brokers", required_argument, NULL, 'b'},
		{"topic", required_argument, NULL, 't'},
		{"port-file", required_argument, NULL, 'p'},
		{"control", required_argument, NULL, 'c'},
		{"stdin", no_argument, NULL, 's'},
		{"verbose", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0}
	};
	char	   *topics[64];
	int			ntopics = 0;
	const char *port_file = NULL;
	const char *control = NULL;
	bool		use_stdin = false;
	bool		verbose = false;
	rd_kafka_t *handle;
	int			listener;
	int			opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
	{
		if (opt == 'b' && !parse_number(optarg, 1, 10, &nbrokers))
			die("not a number of brokers: %s", optarg);
		else if (opt == 't' && ntopics < 64)
			topics[ntopics++] = optarg;
		else if (opt == 'p')
			port_file = optarg;
		else if (opt == 'c')
			control = optarg;
		else if (opt == 's')
			use_stdin = true;
		else if (opt == 'v')
			verbose = true;
		else if (opt != 'b')
			die("wrong arguments; the head of mock_kafka.c lists them");
	}
	if (pipe(stop_pipe) < 0)
		die("could not create a pipe: %s", strerror(errno));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_stop_signal);
	signal(SIGINT, on_stop_signal);

	handle = start_cluster(verbose);
	for (int i = 0; i < ntopics; i++)
		create_topic(topics[i]);
	listener = control != NULL ? open_control(control) : -1;
	publish_address(port_file);
	serve(listener, use_stdin);

	if (control != NULL)
		unlink(control);
	if (port_file != NULL)
		unlink(port_file);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(handle);
	return 0;
}
