# What a row of a topic is depends on what a view reads and on nothing else: records
# that are rows of some views only, live, filled in later and in batch.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { mixed => 2, strict => 1 });
my $node = deltaflow_node('rows');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }

# One of each: all good, bad for those who read a, b, mood (whose input function throws), a and b, and for everybody.
sub produce
{
	my ($times) = @_;

	$mock->produce('mixed', (
		'{"k": 1, "a": 1, "b": 1, "mood": "happy"}',
		'{"k": 1, "a": "x", "b": 1, "mood": "happy"}',
		'{"k": 1, "a": 1, "b": 99999999999, "mood": "happy"}',
		'{"k": 1, "a": 1, "b": 1, "mood": "none"}',
		'{"k": 1, "a": "x", "b": "y", "mood": "happy"}',
		'{"k": "x", "a": 1, "b": 1, "mood": "happy"}',
		'{"k": 1, "a": 1, "b": 1, "at": "never"}',
		'no JSON') x $times);
}

sub check_all
{
	my ($when, @views) = @_;

	wait_for_rows($node, "SELECT deltaflow.wait('$_', '1 s')", 't', "$_ caught up $when") for @views;
	for my $view (@views)
	{
		check_same($node, $view, $when);
		is(sql("SELECT deltaflow.recompute('$view', NULL, NULL)"), 0, "$view: recompute changes nothing $when");
	}
	check_books($node, $when);
}

create_broker($node, $mock->address);
sql(q{CREATE TYPE mood AS ENUM ('happy', 'sad')},
	q{CREATE FOREIGN TABLE mixed (k int NOT NULL, a int, b int, mood mood, at timestamptz)
		SERVER broker OPTIONS (topic 'mixed', format 'json', event_time 'at')},
	q{SELECT deltaflow.create_view('by_a', 'SELECT k, count(*) AS n, sum(a) AS a FROM mixed GROUP BY 1')},
	q{SELECT deltaflow.create_view('by_b', 'SELECT k, count(*) AS n, sum(b) AS b FROM mixed GROUP BY 1')});
produce(10);
check_all('with two views', qw(by_a by_b));
is(sql('SELECT n, a FROM by_a'), '30|30', 'by_a: good, bad b, bad mood');
is(sql('SELECT n, b FROM by_b'), '30|30', 'by_b: good, bad a, bad mood');
is(sql("SELECT name, column_name, count(*) FROM deltaflow.dead_letters GROUP BY 1, 2 ORDER BY 1, 2"),
	"by_a|a|10\nby_b|b|10\nmixed|a|10\nmixed|at|10\nmixed|k|10\nmixed||10", 'each dead letter is of those who miss it');
is(sql("SELECT name, sum(dead), sum(applied) FROM deltaflow.accounting GROUP BY 1 ORDER BY 1"), "by_a|50|30\nby_b|50|30", 'and is in their books');

# A view that reads more: what earlier views are does not change, what was there before is judged by what the new one reads.
sql(q{SELECT deltaflow.create_view('by_mood', 'SELECT mood, k, count(*) AS n FROM mixed GROUP BY 1, 2')});
produce(10);
check_all('with a third', qw(by_a by_b by_mood));
is(sql('SELECT n, a FROM by_a'), '60|60', 'by_a counts on as it did');
is(sql('SELECT n, b FROM by_b'), '60|60', 'by_b too');
is(sql('SELECT sum(n) FROM by_mood'), '80', 'by_mood: good, bad a, bad b, both');
is(sql("SELECT count(*), count(DISTINCT (partition, record_offset)) FROM deltaflow.dead_letters WHERE name = 'by_mood'"), '20|20',
	'what the new view cannot read, old or new, is a dead letter of its own, once');

# Filled again, and after others have gone.
sql(q{SELECT deltaflow.pause('by_mood')}, q{DROP VIEW by_a});
produce(5);
sql(q{SELECT deltaflow.resume('by_mood')});
check_all('with the first gone', qw(by_b by_mood));
is(sql('SELECT sum(n) FROM by_mood'), '100', 'by_mood is the same function of the records');
is(sql("SELECT count(*), count(DISTINCT (partition, record_offset)) FROM deltaflow.dead_letters WHERE name = 'by_mood'"), '25|25', 'and no dead letter is there twice');
sql(q{SELECT deltaflow.create_view('by_a', 'SELECT k, count(*) AS n, sum(a) AS a FROM mixed GROUP BY 1')});
check_all('made again', qw(by_a by_b by_mood));
is(sql('SELECT n, a FROM by_a'), '75|75', 'a view made later is what it had been');

# Batch by the planner alone, also where it must read more than is used.
is(sql('SELECT n, a FROM by_a_batch'), '75|75', 'the batch view agrees');
sql(q{SELECT deltaflow.create_view('materialized', 'WITH all_of_it AS MATERIALIZED (SELECT * FROM mixed) SELECT count(*) AS n FROM all_of_it')});
check_all('that reads all', 'materialized');
is(sql('SELECT n FROM materialized'), sql('SELECT n FROM materialized_batch'), 'and counts the same rows');

# on_error stop: a record that any view misses.
sql(q{CREATE FOREIGN TABLE strict (k int, a int, b int) SERVER broker OPTIONS (topic 'strict', format 'json', on_error 'stop')},
	q{SELECT deltaflow.create_view('strict_a', 'SELECT sum(a) AS a FROM strict')},
	q{SELECT deltaflow.create_view('strict_b', 'SELECT sum(b) AS b FROM strict')});
$mock->produce('strict', '{"k": 1, "a": 1, "b": 1}', '{"k": 1, "a": 1, "b": "x"}', '{"k": 1, "a": 1, "b": 1}');
wait_for_rows($node, q{SELECT state, last_error LIKE 'record at partition 0, offset 1 %' FROM deltaflow.status WHERE name = 'strict_a'}, 'paused|t', 'the pipeline stops at the record');
is(sql('SELECT (SELECT a FROM strict_a), (SELECT b FROM strict_b)'), '1|1', 'with what came before it');

$node->stop;
done_testing();
