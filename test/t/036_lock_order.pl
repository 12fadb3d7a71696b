# The order of locks: DDL of every kind from many sessions against a busy worker, with
# a deadlock_timeout so short that any circle of waiters shows.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use POSIX qw(WNOHANG);
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{DELTAFLOW_ROUNDS} // 40;
my $mock = Deltaflow::Mock->start(topics => { orders => 2 });
my $node = deltaflow_node('locks', 'deadlock_timeout = 10ms', 'deltaflow.naptime = 1s', 'deltaflow.epoch_interval = 10ms');
my $produced = 0;

sub produce
{
	my ($n) = @_;

	$mock->produce('orders', map { sprintf '{"id": %d, "amount": %d}', ++$produced, $produced % 10 } 1 .. $n);
}

# A session that repeats these commands; what it complains about is kept in a file.
my %sessions;

sub repeat
{
	my ($name, @commands) = @_;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/" . ($name =~ s/ /_/gr);

	append_to_file("$file.sql", join('', "SET client_min_messages = warning;\n", map { "$_;\n" } (@commands) x $rounds));
	my $pid = fork() // die "fork failed: $!";
	if ($pid == 0)
	{
		open(STDOUT, '>', '/dev/null');
		open(STDERR, '>', "$file.errors");
		exec('psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$file.sql") or POSIX::_exit(127);
	}
	$sessions{$name} = { pid => $pid, errors => "$file.errors" };
}

# Whether any session still runs.
sub busy
{
	for my $session (values %sessions)
	{
		$session->{ended} ||= waitpid($session->{pid}, WNOHANG) == $session->{pid};
	}
	return scalar grep { !$_->{ended} } values %sessions;
}

create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE orders_topic (id int NOT NULL, amount int) SERVER broker OPTIONS (topic 'orders', format 'json');
	CREATE TABLE orders (LIKE orders_topic);
	CREATE SCHEMA elsewhere;
	SELECT deltaflow.create_ingest('orders_topic', target => 'orders');
	CREATE VIEW small AS SELECT id, amount FROM orders WHERE amount < 5;
	SELECT deltaflow.create_view('totals', 'SELECT amount, count(*) AS n FROM orders GROUP BY 1');
	SELECT deltaflow.create_view('kept', 'SELECT amount, count(*) AS n FROM small GROUP BY 1');
	SELECT deltaflow.create_view('idle', 'SELECT count(*) AS n FROM orders');
	SELECT deltaflow.create_view('topical', 'SELECT amount, count(*) AS n FROM orders_topic GROUP BY 1')});
produce(100);
wait_for_rows($node, q{SELECT bool_and(state = 'running') FROM deltaflow.status}, 't', 'all views are filled');

repeat('renames', 'ALTER VIEW totals RENAME TO sums', 'ALTER VIEW sums RENAME COLUMN n TO m',
	'ALTER VIEW sums RENAME COLUMN m TO n', 'ALTER VIEW sums RENAME TO totals');
repeat('moves', 'ALTER VIEW topical SET SCHEMA elsewhere', 'ALTER VIEW elsewhere.topical SET SCHEMA public');
repeat('comes and goes', q{SELECT deltaflow.create_view('big', 'SELECT count(*) AS n FROM orders WHERE amount > 5')}, 'DROP VIEW big');
repeat('comes and goes over the topic',
	q{SELECT deltaflow.create_view('topic_big', 'SELECT count(*) AS n FROM orders_topic WHERE amount > 5')}, 'DROP VIEW topic_big');
repeat('table', 'ALTER TABLE orders ADD COLUMN note text', 'CREATE INDEX extra ON orders (amount)', 'DROP INDEX extra',
	'ALTER TABLE orders DROP COLUMN note');
repeat('definition', 'CREATE OR REPLACE VIEW small AS SELECT id, amount FROM orders WHERE amount < 5', 'ALTER VIEW kept SET (security_barrier = false)');
repeat('state', 'VACUUM FULL kept_state', 'ANALYZE kept_state', 'VACUUM FULL orders');
repeat('correction', q{SELECT deltaflow.recompute('kept', NULL, NULL)}, q{SELECT * FROM deltaflow.reconcile('kept')});
repeat('control', q{SELECT deltaflow.pause('idle')}, q{SELECT deltaflow.resume('idle')}, q{SELECT deltaflow.pause('orders')},
	q{SELECT deltaflow.resume('orders')});
repeat('reader', 'SELECT sum(n) FROM kept', 'SELECT sum(n) FROM kept_batch');

produce(20) while busy();
for my $name (sort keys %sessions)
{
	is(slurp_file($sessions{$name}{errors}), '', "$name: no command failed");
}
unlike(slurp_file($node->logfile), qr/deadlock detected/, 'no circle of waiters, not even for the worker');

wait_for_rows($node, q{SELECT bool_and(deltaflow.wait(name, '1 s')) FROM deltaflow.status}, 't', 'everything is caught up');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM orders'), "$produced|$produced", 'every order once');
check_same($node, $_) for qw(totals kept idle topical);
check_books($node, 'in the end');
$node->stop;
done_testing();
