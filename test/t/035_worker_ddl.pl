# DDL on a pipeline's objects while its worker runs: neither waits for the other for
# long, nothing deadlocks, nothing is lost.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use IPC::Run qw(start);
use Test::More;
use Time::HiRes qw(time);

my $mock = Deltaflow::Mock->start(topics => { orders => 2 });
my $node = deltaflow_node('ddl', 'deltaflow.naptime = 1s', 'log_lock_waits = on');
my $produced = 0;

sub produce
{
	my ($n) = @_;

	$mock->produce('orders', map { sprintf '{"id": %d, "amount": %d}', ++$produced, $produced % 10 } 1 .. $n);
}

sub check_orders
{
	my ($when) = @_;

	wait_for_rows($node, q{SELECT deltaflow.wait('orders', '1 s') AND deltaflow.wait('totals', '1 s')}, 't', "caught up $when");
	is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM orders'), "$produced|$produced", "every order once $when");
	is($node->safe_psql('postgres', 'SELECT sum(n) FROM totals'), $produced, "and once in the view $when");
}

# Runs a command that must not wait for the worker.
sub at_once
{
	my ($command) = @_;
	my $time = time;

	is($node->psql('postgres', "SET lock_timeout = '5s'; $command"), 0, $command);
	cmp_ok(time - $time, '<', 5, 'at once');
}

create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE orders_topic (id int NOT NULL, amount int) SERVER broker OPTIONS (topic 'orders', format 'json');
	CREATE TABLE orders (LIKE orders_topic);
	SELECT deltaflow.create_ingest('orders_topic', target => 'orders');
	SELECT deltaflow.create_view('totals', 'SELECT amount, count(*) AS n FROM orders GROUP BY 1')});
produce(100);
check_orders('at first');

# a session that keeps the table locked
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE');
produce(100);
wait_for_rows($node, q{SELECT last_error IS NOT NULL, state FROM deltaflow.status WHERE name = 'orders'}, 't|running', 'the status tells of a locked table');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE NOT granted}), 0, 'nobody waits in a queue for it');
$session->query_safe('ROLLBACK');
check_orders('after the lock');
wait_for_rows($node, q{SELECT last_error FROM deltaflow.status WHERE name = 'orders'}, '', 'and the status is clean again');

# a session that keeps the pipeline's row locked by an open pause: the worker goes on as soon as it may
$session->query_safe(q{BEGIN; SELECT deltaflow.pause('orders')});
produce(100);
$session->query_safe('ROLLBACK');
check_orders('after an open pause');

# DDL in one go, records arriving
my $stop = "$PostgreSQL::Test::Utils::tmp_check/stop";
my @commands = (
	'ALTER TABLE orders ADD COLUMN note text',
	'CREATE INDEX ON orders (id)',
	'ALTER TABLE orders ALTER COLUMN amount SET STATISTICS 10',
	q{SELECT deltaflow.create_view('big', 'SELECT count(*) AS n FROM orders WHERE amount > 5')},
	'ALTER TABLE orders RENAME COLUMN note TO remark',
	'ALTER TABLE orders DROP COLUMN remark',
	'ALTER VIEW totals RENAME TO sums',
	'ALTER VIEW sums RENAME TO totals',
	'VACUUM FULL orders',
	'DROP VIEW big CASCADE',
	'ANALYZE orders');
for my $command (@commands)
{
	produce(50);
	at_once($command);
}
check_orders('after DDL');

# views made while records arrive hold exactly what the table holds
for my $round (1 .. 3)
{
	produce(200);
	$node->safe_psql('postgres', "SELECT deltaflow.create_view('v$round', 'SELECT amount, count(*) AS n, sum(id) AS ids FROM orders GROUP BY 1')");
	produce(200);
}
check_orders('beside new views');
for my $round (1 .. 3)
{
	is($node->safe_psql('postgres', "SELECT deltaflow.wait('v$round')"), 't', "view $round is filled");
	check_same($node, "v$round", 'though made on the way');
	is($node->safe_psql('postgres', "SELECT sum(n) FROM v$round"), $produced, "and holds every order once");
}
check_books($node, 'in the end');
$session->quit;
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/(ERROR|FATAL): +deadlock detected|PANIC|terminated by signal/, "a deadlock is the worker's to lose, and nothing crashed");

$node->stop;
done_testing();
