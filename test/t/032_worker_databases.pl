# Several databases, and the commands that want one for themselves.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use Test::More;
use Time::HiRes qw(time);

my $mock = Deltaflow::Mock->start(topics => { one => 1, two => 1 });
my $node = deltaflow_node('databases', 'deltaflow.naptime = 1s');
my %produced = (one => 0, two => 0);

sub produce
{
	my ($topic, $n) = @_;

	$mock->produce($topic, map { sprintf '{"id": %d}', ++$produced{$topic} } 1 .. $n);
}

sub make
{
	my ($database, $topic) = @_;

	create_broker($node, $mock->address, $database);
	$node->safe_psql($database, qq{
		CREATE FOREIGN TABLE events_topic (id int NOT NULL) SERVER broker OPTIONS (topic '$topic', format 'json');
		CREATE TABLE events (id int);
		SELECT deltaflow.create_ingest('events_topic', target => 'events')});
}

sub check_events
{
	my ($database, $topic, $when) = @_;

	wait_for_rows($node, q{SELECT deltaflow.wait('events', '1 s')}, 't', "$database has caught up $when", undef, $database);
	is($node->safe_psql($database, 'SELECT count(*), count(DISTINCT id) FROM events'), "$produced{$topic}|$produced{$topic}", "$database: every event once $when");
}

# Processes of ours in a database.
sub processes
{
	my ($database) = @_;

	return "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'deltaflow%' AND datname = '$database'";
}

# A command that works although workers run, and does not take long.
sub runs_soon
{
	my ($command, $database) = @_;
	my $time = time;

	is($node->psql($database // 'postgres', $command), 0, $command);
	cmp_ok(time - $time, '<', 8, 'soon');
}

$node->safe_psql('postgres', 'CREATE DATABASE first');
$node->safe_psql('postgres', 'CREATE DATABASE empty');
$node->safe_psql('first', 'CREATE EXTENSION deltaflow');
make('postgres', 'one');
make('first', 'two');
produce('one', 100);
produce('two', 50);
check_events('postgres', 'one', 'beside another');
check_events('first', 'two', 'beside another');
wait_for_rows($node, processes('empty'), 0, 'a database without the extension has no process of ours');
wait_for_rows($node, processes('template1'), 0, 'nor has template1');

# extension dropped and created, the drop rolled back
$node->safe_psql('first', 'BEGIN; DROP EXTENSION deltaflow CASCADE; ROLLBACK');
produce('two', 50);
check_events('first', 'two', 'after a DROP EXTENSION that was rolled back');

# copies do not consume by themselves
runs_soon('CREATE DATABASE copy TEMPLATE first');
produce('two', 50);
check_events('first', 'two', 'after being copied');
wait_for_rows($node, q{SELECT state, last_error LIKE 'this database is a copy%', hint LIKE '%resume%' FROM deltaflow.status}, 'paused|t|t', 'the copy is paused', undef, 'copy');
is($node->safe_psql('copy', 'SELECT count(*) FROM events'), 100, 'and has what the original had');
$node->psql('copy', q{SELECT deltaflow.run_once('events')}, stderr => \my $error);
like($error, qr/paused|made in another database/, 'run_once does not move it either');
$node->safe_psql('copy', q{SELECT deltaflow.resume('events')});
check_events('copy', 'two', 'when it is told to go on');

runs_soon('ALTER DATABASE copy RENAME TO renamed');
produce('two', 50);
check_events('renamed', 'two', 'after a rename');
runs_soon('DROP DATABASE renamed');
runs_soon('CREATE DATABASE plain');
runs_soon('DROP DATABASE first');
produce('one', 50);
check_events('postgres', 'one', 'after others were dropped');

runs_soon('DROP EXTENSION deltaflow CASCADE');
wait_for_rows($node, processes('postgres'), 0, 'no process of ours without the extension');
is($node->safe_psql('postgres', 'SELECT count(*) FROM events'), $produced{one}, 'the table stays');
$node->safe_psql('postgres', 'CREATE EXTENSION deltaflow; DROP TABLE events');
make('postgres', 'one');
check_events('postgres', 'one', 'after the extension was created again');

# too few background workers: said, and repaired by more
$node->append_conf('postgresql.conf', 'max_worker_processes = 3');
$node->restart;
wait_for_rows($node, q{SELECT state, hint FROM deltaflow.status}, 'stopped|Raise max_worker_processes and restart the server.', 'status without room for a worker');
$node->append_conf('postgresql.conf', "max_worker_processes = 8\ndeltaflow.max_workers = 2");
$node->restart;
produce('one', 50);
check_events('postgres', 'one', 'with room again');
$node->safe_psql('postgres', q{CREATE TABLE more (id int); SELECT deltaflow.create_ingest('events_topic', target => 'more')});
wait_for_rows($node, q{SELECT state, hint FROM deltaflow.status WHERE name = 'more'}, 'stopped|Raise deltaflow.max_workers and restart the server.', 'status without a slot for a worker');
$node->safe_psql('postgres', q{SELECT deltaflow.drop_ingest('events')});
wait_for_rows($node, q{SELECT deltaflow.wait('more', '1 s')}, 't', 'which starts when another has ended');

# a database that becomes a template loses its processes
$node->safe_psql('postgres', 'CREATE DATABASE base; CREATE ROLE maker CREATEDB');
$node->safe_psql('postgres', q{SELECT deltaflow.pause('more')});
$node->safe_psql('base', 'CREATE EXTENSION deltaflow');
make('base', 'two');
check_events('base', 'two', 'in the database to be copied');
$node->safe_psql('postgres', 'ALTER DATABASE base IS_TEMPLATE true');
wait_for_rows($node, processes('base'), 0, 'no process of ours in a template');
is($node->psql('postgres', 'SET ROLE maker; CREATE DATABASE made TEMPLATE base'), 0, 'so anybody who may can copy it');

$node->stop;
done_testing();
