# Workers obey: pause and resume, cancel and terminate, settings, rights; and say
# what they do.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { orders => 2 });
my $node = deltaflow_node('control', 'deltaflow.naptime = 1s');
my $produced = 0;

# Produces n orders with the next ids.
sub produce
{
	my ($n) = @_;

	$mock->produce('orders', map { sprintf '{"id": %d, "amount": %d}', ++$produced, $produced % 10 } 1 .. $n);
}

# All that was produced, once each.
sub check_orders
{
	my ($when) = @_;

	is($node->safe_psql('postgres', q{SELECT deltaflow.wait('orders')}), 't', "caught up $when");
	is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM orders'), "$produced|$produced", "every order once $when");
}

sub status
{
	my ($columns, $name) = @_;

	return "SELECT $columns FROM deltaflow.status WHERE name = '" . ($name // 'orders') . "'";
}

create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE orders_topic (id int NOT NULL, amount int) SERVER broker OPTIONS (topic 'orders', format 'json');
	CREATE TABLE orders (LIKE orders_topic);
	SELECT deltaflow.create_ingest('orders_topic', target => 'orders');
	SELECT deltaflow.create_view('totals', 'SELECT amount, count(*) AS n FROM orders GROUP BY 1');
	CREATE ROLE reader;
	GRANT SELECT ON orders TO reader;
});
produce(100);
check_orders('at first');
is($node->safe_psql('postgres', q{SELECT deltaflow.wait('totals')}), 't', 'the view too');
is($node->safe_psql('postgres', 'SELECT sum(n) FROM totals'), 100, 'and holds all');

# names
is($node->safe_psql('postgres', q{SELECT string_agg(backend_type, ', ' ORDER BY backend_type) FROM pg_stat_activity WHERE backend_type LIKE 'deltaflow%'}),
	'deltaflow launcher, deltaflow pipeline, deltaflow supervisor', 'three kinds of processes');
is($node->safe_psql('postgres', q{SELECT application_name FROM pg_stat_activity WHERE backend_type = 'deltaflow pipeline'}),
	'deltaflow pipeline orders', 'the worker tells its pipeline');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'deltaflow%' AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)}),
	0, 'none of them sits in a transaction');
wait_for_rows($node, status('state, source, lag_records, lag_seconds, last_error, hint'), 'running|orders_topic|0|0||', 'status of an ingest that keeps up');
is($node->safe_psql('postgres', q{SELECT consumed - applied, count(*) FROM deltaflow.accounting WHERE name = 'orders' GROUP BY 1}), '0|2', 'the books');

# pause and resume
my $pid = worker_pid($node, 'orders');
$node->safe_psql('postgres', q{SELECT deltaflow.pause('orders')});
wait_for(sub { !worker_pids($node) }, 'the worker of a paused ingest to leave');
is($node->safe_psql('postgres', status('state, hint')), q{paused|Call deltaflow.resume('orders').}, 'status of a paused ingest');
produce(10);
my ($out, $error);
$node->psql('postgres', q{SELECT deltaflow.wait('orders', '200 ms')}, stdout => \$out, stderr => \$error);
is($out, 'f', 'wait gives up after its timeout');
like($error, qr/"orders" is paused.*resume/s, 'and says why it may');
is($node->safe_psql('postgres', 'SELECT count(*) FROM orders'), 100, 'nothing is stored while it is paused');
$node->safe_psql('postgres', q{SELECT deltaflow.resume('orders')});
check_orders('after resume');

# a paused view misses nothing in the end
$node->safe_psql('postgres', q{SELECT deltaflow.pause('totals')});
wait_for_rows($node, status('state', 'totals'), 'paused', 'status of a paused view');
produce(10);
check_orders('while a view is paused');
$node->safe_psql('postgres', q{SELECT deltaflow.resume('totals')});
is($node->safe_psql('postgres', q{SELECT deltaflow.wait('totals')}), 't', 'a resumed view catches up');
is($node->safe_psql('postgres', 'SELECT sum(n) FROM totals'), $produced, 'with nothing missing or twice');

# a transaction that is rolled back changes nothing
$node->safe_psql('postgres', q{BEGIN; SELECT deltaflow.pause('orders'); ROLLBACK});
produce(10);
check_orders('after a pause that was rolled back');

# cancel and terminate
$pid = worker_pid($node, 'orders');
is($node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"), 't', 'the worker can be cancelled');
produce(10);
check_orders('after a cancel');
is(worker_pid($node, 'orders'), $pid, 'by the same worker');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
wait_for(sub { my @pids = worker_pids($node, 'orders'); @pids == 1 && $pids[0] != $pid }, 'another worker');
produce(10);
check_orders('after a terminate');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'deltaflow supervisor'});
produce(10);
check_orders('without a supervisor');
wait_for_rows($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'deltaflow supervisor'}, 1, 'a new supervisor');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'deltaflow pipeline'}), 1, 'that adopts the worker');
my $launcher = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'deltaflow launcher'});
$node->safe_psql('postgres', "SELECT pg_terminate_backend($launcher)");
wait_for_rows($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'deltaflow launcher' AND pid <> $launcher", 1, 'a launcher that was terminated comes back');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type IN ('deltaflow supervisor', 'deltaflow pipeline')});
produce(10);
check_orders('after a terminate of all others');

# settings
$node->safe_psql('postgres', q{ALTER SYSTEM SET deltaflow.enabled = off; SELECT pg_reload_conf()});
wait_for(sub { !worker_pids($node) }, 'workers to leave when disabled');
wait_for_rows($node, status('state, hint'), 'stopped|Set deltaflow.enabled to on and reload the configuration.', 'status when disabled');
produce(10);
$node->safe_psql('postgres', q{ALTER SYSTEM RESET deltaflow.enabled; SELECT pg_reload_conf()});
check_orders('after being enabled');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM deltaflow.epochs}), '>', 0, 'there is a log of epochs');
$node->safe_psql('postgres', q{ALTER SYSTEM SET deltaflow.epoch_retention = 0; SELECT pg_reload_conf()});
wait_for_rows($node, 'SELECT count(*) FROM deltaflow.epochs', 0, 'which is as short as deltaflow.epoch_retention says');
$pid = worker_pid($node, 'orders');
$node->safe_psql('postgres', q{ALTER DATABASE postgres SET statement_timeout = '1ms'; ALTER DATABASE postgres SET default_transaction_read_only = on});
{
	# our own sessions do without them from their first statement on
	local $ENV{PGOPTIONS} = '-c statement_timeout=0 -c default_transaction_read_only=off -c exit_on_error=off';

	$node->safe_psql('postgres', q{ALTER DATABASE postgres SET exit_on_error = on; CREATE UNIQUE INDEX once ON orders (id)});
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	produce(1000);
	wait_for_rows($node, 'SELECT count(*) FROM orders', $produced, 'settings of the database do not stop workers');
	$mock->produce('orders', '{"id": 1, "amount": 1}');
	wait_for_rows($node, q{SELECT count(*) FROM deltaflow.dead_letters WHERE sqlstate = '23505'}, 1, 'nor does a row that is refused, under exit_on_error');
	$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET ALL');
	$node->safe_psql('postgres', 'DROP INDEX once');
}

# a session that holds the pipeline's row when a worker, as yet without an epoch, wants to take its attempt back
$pid = worker_pid($node, 'orders');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
my $begun = "FROM pg_stat_activity WHERE pid <> $pid AND backend_type = 'deltaflow pipeline' AND state = 'idle'";
wait_for_rows($node, "SELECT count(*) $begun", 1, 'another worker, past its start');
$pid = worker_pid($node, 'orders');
my $holder = $node->background_psql('postgres');
my $waits = "FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'";
$holder->query_safe('BEGIN');
$holder->query_safe('SELECT FROM deltaflow.pipeline FOR UPDATE');
wait_for(sub { $node->safe_psql('postgres', "SELECT count(*) > 0 $waits") eq 't' || $node->safe_psql('postgres', 'SELECT attempts FROM deltaflow.pipeline') eq '0' }, 'the worker to want the row');
wait_for_rows($node, "SELECT count(*) $waits", 0, 'and not for ever');
$holder->query_safe('ROLLBACK');
$holder->quit;
produce(10);
check_orders('after somebody held the row of the pipeline');
is(worker_pid($node, 'orders'), $pid, 'by the same worker');

# a snapshot that does not move
$node->psql('postgres', q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT deltaflow.wait('orders')}, stderr => \$error);
like($error, qr/cannot wait in a transaction with isolation level.*HINT/s, 'wait under REPEATABLE READ is refused');

# rights
$node->psql('postgres', q{SET ROLE reader; SELECT deltaflow.pause('orders')}, stderr => \$error);
like($error, qr/must be owner of table orders/, 'only the owner may pause');
is($node->safe_psql('postgres', q{SET ROLE reader; SELECT deltaflow.wait('orders')}), 't', 'whoever may read may wait');
$node->psql('postgres', q{SET ROLE reader; SELECT deltaflow.wait('totals')}, stderr => \$error);
like($error, qr/permission denied for view totals/, 'and nobody else');
$mock->produce('orders', 'no json at all');
$node->safe_psql('postgres', q{SELECT deltaflow.wait('orders')});
is($node->safe_psql('postgres', q{SELECT count(*) FROM deltaflow.dead_letters}), 2, 'the owner sees dead letters');
is($node->safe_psql('postgres', q{SET ROLE reader; SELECT count(*) FROM deltaflow.dead_letters}), 0, 'another role does not');
is($node->safe_psql('postgres', 'SET ROLE reader; ' . status('dead_letters')), 2, 'but how many there are');
check_books($node, 'in the end');

# and out
$node->safe_psql('postgres', q{DROP VIEW totals; SELECT deltaflow.drop_ingest('orders')});
wait_for_rows($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('deltaflow supervisor', 'deltaflow pipeline')}, 0, 'an idle database has no process of ours');

$node->stop;
done_testing();
