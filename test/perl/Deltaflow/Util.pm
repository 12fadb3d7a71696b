#
# Util.pm
#		What TAP tests of deltaflow share: servers, waiting, the books.
#
#   use Deltaflow::Util;
#
#   my $node = deltaflow_node('main');                    # initialised, preloaded, started, extension created
#   create_broker($node, $kafka->address);                # SERVER broker
#   wait_for(sub { ... }, 'what is waited for');          # true, or a failed test after 60 s
#   wait_for_rows($node, 'SELECT count(*) FROM t', '100');
#   check_books($node, 'after the kill');                 # accounting balances for every name
#   check_same($node, 'booth_stats');                     # reconcile has no rows, live equals batch
#   my $pid = worker_pid($node, 'toll_entry');            # of the pipeline's worker
#   kill_worker($node, 'toll_entry', 'KILL');
#
# Queries are run in database postgres unless a name is given as the last argument.
#
package Deltaflow::Util;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(deltaflow_node create_broker wait_for wait_for_rows check_books check_same worker_pid worker_pids kill_worker seed_random);

my $patience = $ENV{PG_TEST_TIMEOUT_DEFAULT} || 60;

# A started server with deltaflow preloaded; further arguments are lines of configuration.
sub deltaflow_node
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', join("\n", "shared_preload_libraries = 'deltaflow'", 'max_worker_processes = 32',
			'restart_after_crash = on', @settings, ''));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION deltaflow');
	return $node;
}

# SERVER broker at an address.
sub create_broker
{
	my ($node, $address, $dbname) = @_;

	$node->safe_psql($dbname // 'postgres',
		qq(CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" '$address')));
}

# Waits until the condition returns true.  A failed test with the reason otherwise.  What
# dies in it counts as not yet: psql that goes away, as the server does, while it is written to.
sub wait_for
{
	my ($condition, $what, $timeout) = @_;
	my $deadline = time + ($timeout // $patience);
	my $error;

	while (1)
	{
		return 1 if eval { $condition->() };
		$error = $@;
		last if time > $deadline;
		usleep(50_000);
	}
	diag($error) if $error;
	fail("timed out waiting for $what");
	return 0;
}

# Waits until a query gives the expected text.  Errors of the query (a server
# that is restarting) count as not yet.  Reports as a test.
sub wait_for_rows
{
	my ($node, $query, $expected, $what, $timeout, $dbname) = @_;
	my $deadline = time + ($timeout // $patience);
	my ($got, $error) = ('', '');

	$what //= $query;
	while (1)
	{
		my $status = eval { $node->psql($dbname // 'postgres', $query, stdout => \$got, stderr => \$error) };

		$got //= '';
		chomp $got;
		return pass($what) if defined $status && $status == 0 && $got eq $expected;
		last if time > $deadline;
		usleep(100_000);
	}
	diag($error) if $error;
	return is($got, $expected, $what);
}

# The books balance for every ingest, view and partition.
sub check_books
{
	my ($node, $when, $dbname) = @_;
	my $wrong = $node->safe_psql($dbname // 'postgres', q{
		SELECT * FROM deltaflow.accounting
		WHERE consumed <> applied + late + dead + filtered + redelivered});

	return is($wrong, '', "the books balance $when");
}

# The live view equals its definition computed now, minus declared late rows.
sub check_same
{
	my ($node, $view, $when, $dbname) = @_;
	my $differences = $node->safe_psql($dbname // 'postgres',
		"SELECT side, reason, row_data FROM deltaflow.reconcile('$view') WHERE reason NOT ILIKE '%late%' LIMIT 10");

	$when //= '';
	return is($differences, '', "$view: live equals batch $when");
}

# Process ids of running pipeline workers; of one pipeline when a name is given.
sub worker_pids
{
	my ($node, $name) = @_;
	my $which = defined $name ? "AND (application_name ILIKE '%$name%' OR backend_type ILIKE '%$name%')" : '';
	my ($out, $status);

	$status = $node->psql('postgres', qq{
		SELECT pid FROM pg_stat_activity
		WHERE backend_type ILIKE 'deltaflow%' AND backend_type NOT ILIKE '%launcher%' AND backend_type NOT ILIKE '%supervisor%' $which},
		stdout => \$out);
	return $status == 0 ? grep { /^\d+$/ } split /\n/, $out : ();
}

sub worker_pid
{
	my ($node, $name) = @_;
	my @pids;

	wait_for(sub { @pids = worker_pids($node, $name); @pids == 1 }, "a worker of " . ($name // 'any pipeline')) or return undef;
	return $pids[0];
}

# Sends the pipeline's worker a signal; false when it has none at the moment.
sub kill_worker
{
	my ($node, $name, $signal) = @_;
	my ($pid) = worker_pids($node, $name);

	return defined $pid && kill($signal // 'KILL', $pid);
}

# Seeds rand() and prints the seed; DELTAFLOW_SEED repeats a run.
sub seed_random
{
	my $seed = $ENV{DELTAFLOW_SEED} // int(time * 1000) % 2**31;

	srand($seed);
	note("DELTAFLOW_SEED=$seed");
	return $seed;
}

1;
