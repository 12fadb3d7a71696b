# A client of the broker that does not stop: its process ends beside the threads that
# run on, another takes over, and no session hangs.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { orders => 2 });
my $node = deltaflow_node('left', 'deltaflow.naptime = 1s', 'deltaflow.debug_leave_clients = on');
my $produced = 0;

sub produce
{
	my ($n) = @_;

	$mock->produce('orders', map { sprintf '{"id": %d}', ++$produced } 1 .. $n);
}

create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE orders_topic (id int NOT NULL) SERVER broker OPTIONS (topic 'orders', format 'json');
	CREATE TABLE orders (LIKE orders_topic);
	SELECT deltaflow.create_ingest('orders_topic', target => 'orders')});

# More often than a worker may fail to start.
my %pids;

for my $round (1 .. 6)
{
	produce(50);
	wait_for_rows($node, 'SELECT count(*), count(DISTINCT id) FROM orders', "$produced|$produced", "round $round: every record once");
	my $pid = worker_pid($node, 'orders');

	$pids{$pid} = 1;
	# the definition of the topic changes, so that the worker loads again, with another client
	$node->safe_psql('postgres', "ALTER FOREIGN TABLE orders_topic OPTIONS (" . ($round == 1 ? 'ADD' : 'SET') . " max_future '$round h')");
	produce(1);
	ok(wait_for(sub { !kill(0, $pid) }, 'the process to end'), 'the process ends');
}
is(scalar keys %pids, 6, 'each was another process');
produce(50);
wait_for_rows($node, 'SELECT count(*), count(DISTINCT id) FROM orders', "$produced|$produced", 'nothing is lost or doubled');
is($node->safe_psql('postgres', 'SELECT state, last_error IS NULL FROM deltaflow.status'), 'running|t', 'and nothing counts as a failure');
check_books($node, 'in the end');
is($node->safe_psql('postgres', "SELECT count(*) FROM orders_topic; SELECT 'goes on'"), "$produced\ngoes on", 'a session goes on');

$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'no process crashed');
done_testing();
