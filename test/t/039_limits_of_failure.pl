# Where failures end: too many dead letters pause a pipeline, an internal error of one
# view is that view's, and the server's own troubles are nobody's.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { mixed => 1, orders => 1 });
my $node = deltaflow_node('limits');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }

create_broker($node, $mock->address);

### too many dead letters
sql(q{CREATE FOREIGN TABLE mixed_topic (id int NOT NULL) SERVER broker
		OPTIONS (topic 'mixed', format 'json', dead_letter_limit '100 of 1000')},
	q{CREATE TABLE mixed (LIKE mixed_topic)},
	q{SELECT deltaflow.create_ingest('mixed_topic', 'mixed')});

sub produce
{
	my ($good, $bad) = @_;

	$mock->produce('mixed', (map { qq({"id": $_}) } 1 .. $good), ('{"id": "none"}') x $bad);
}

produce(900, 90) for 1 .. 5;
wait_for_rows($node, 'SELECT count(*) FROM mixed', 4500, 'below the limit all goes on');
is(sql(q{SELECT state, dead_letters FROM deltaflow.status}), 'running|450', 'however many there are in all');
produce(0, 5000);
wait_for_rows($node, q{SELECT state, last_error FROM deltaflow.status}, 'paused|more than 100 of the last 1000 records are dead letters', 'beyond it the ingest pauses');
like(sql('SELECT hint FROM deltaflow.status'), qr/dead_letter_limit.*resume\('mixed'\)/, 'with what to do');
cmp_ok(sql('SELECT count(*) FROM deltaflow.dead_letters'), '<=', 450 + 2000, 'and does not fill the table');
check_books($node, 'while paused');
is(sql('SELECT sum(consumed) FROM deltaflow.accounting'), sql('SELECT 4500 + count(*) FROM deltaflow.dead_letters'), 'what is a dead letter is consumed, nothing else');
sql(q{ALTER FOREIGN TABLE mixed_topic OPTIONS (SET dead_letter_limit 'none')}, q{SELECT deltaflow.resume('mixed')});
wait_for_rows($node, 'SELECT count(*) FROM deltaflow.dead_letters', 5450, 'without the limit it goes on');
is(sql('SELECT state, last_error FROM deltaflow.status'), 'running|', 'and is well');
my ($result, $out, $error) = $node->psql('postgres', q{ALTER FOREIGN TABLE mixed_topic OPTIONS (SET dead_letter_limit '20 of 10')});
like($error, qr/invalid value for option "dead_letter_limit"/, 'a limit that cannot be is refused');

# run_once says so as well
sql(q{SELECT deltaflow.pause('mixed')}, q{ALTER FOREIGN TABLE mixed_topic OPTIONS (SET dead_letter_limit '10 of 100')});
wait_for(sub { !worker_pids($node, 'mixed') }, 'the worker to end');
produce(0, 500);
($result, $out, $error) = $node->psql('postgres', q{BEGIN; SELECT deltaflow.resume('mixed'); SELECT deltaflow.run_once('mixed'); COMMIT});
like($error, qr/"mixed" is paused: more than 10 of the last 100 records/, 'run_once warns');
is(sql('SELECT state FROM deltaflow.status'), 'paused', 'and pauses');
sql(q{SELECT deltaflow.drop_ingest('mixed')});

### internal errors
sql(q{CREATE FUNCTION breaks(amount int, code text, at int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
		$$BEGIN IF amount = at THEN RAISE EXCEPTION 'broken inside' USING ERRCODE = code; END IF; RETURN amount; END$$},
	q{CREATE FOREIGN TABLE orders_topic (id int, amount int) SERVER broker OPTIONS (topic 'orders', format 'json')},
	q{CREATE TABLE orders (LIKE orders_topic)},
	q{SELECT deltaflow.create_ingest('orders_topic', 'orders')},
	q{SELECT deltaflow.create_view('fine', 'SELECT count(*) AS n FROM orders')},
	q{SELECT deltaflow.create_view('internal', $$SELECT sum(breaks(amount, 'XX000', 13)) AS s FROM orders$$)},
	q{SELECT deltaflow.create_view('corrupt', $$SELECT sum(breaks(amount, 'XX002', 13)) AS s FROM orders$$)},
	q{SELECT deltaflow.create_view('disk', $$SELECT sum(breaks(amount, '53100', 14)) AS s FROM orders$$)});
$mock->produce('orders', map { qq({"id": $_, "amount": 1}) } 1 .. 10);
wait_for_rows($node, "SELECT deltaflow.wait('$_', '1 s')", 't', "$_ caught up") for qw(fine internal corrupt disk);
$mock->produce('orders', '{"id": 11, "amount": 13}');
wait_for_rows($node, 'SELECT n FROM fine', 11, 'other views go on');
is(sql(q{SELECT name, state, last_error FROM deltaflow.status WHERE kind = 'view' ORDER BY name}),
	"corrupt|failed|broken inside\ndisk|running|\nfine|running|\ninternal|failed|broken inside", 'views that break inside fail, alone');
is(sql('SELECT s FROM internal'), 10, 'and stand where they were');
is(sql('SELECT count(*) FROM orders'), 11, 'no record is lost for it');
is(sql('SELECT count(*) FROM deltaflow.dead_letters WHERE name = $$orders$$'), 0, 'or set aside');

### infrastructure
$mock->produce('orders', '{"id": 12, "amount": 14}');
wait_for_rows($node, q{SELECT state, last_error FROM deltaflow.status WHERE name = 'orders'}, 'running|broken inside', 'a full disk is waited for');
is(sql(q{SELECT state FROM deltaflow.status WHERE name = 'disk'}), 'running', 'no view fails for it');
sql(q{CREATE OR REPLACE FUNCTION breaks(amount int, code text, at int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN amount; END'});
wait_for_rows($node, 'SELECT s FROM disk', 37, 'and when there is room it goes on');
sql(q{SELECT deltaflow.resume('internal')}, q{SELECT deltaflow.resume('corrupt')});
wait_for_rows($node, "SELECT deltaflow.wait('$_', '1 s')", 't', "$_ resumed") for qw(internal corrupt);
check_same($node, $_) for qw(fine internal corrupt disk);
check_books($node, 'in the end');

$node->stop;
done_testing();
