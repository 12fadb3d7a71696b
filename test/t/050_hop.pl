# Views over deltaflow.hop and deltaflow.cumulate, kept by pane: at every look the live
# view is the definition's answer over the rows of each window that were not late for
# it, and which were is exactly what the log of epochs says.  Random cuts, kills and
# restarts; skewed partitions; windows whose size is no multiple of their slide.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { ride => 3 });
my $node = deltaflow_node('main', "timezone = 'America/New_York'");
my $sketches = $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = 'hll'");

seed_random();
create_broker($node, $mock->address);
sub sql { return $node->safe_psql('postgres', join(';', @_)); }

sql('CREATE EXTENSION hll') if $sketches;
sql(<<'SQL');
CREATE FOREIGN TABLE ride_topic (
	k int, label text, at timestamptz, i int, l bigint, n numeric, d float8, b boolean,
	part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset')
) SERVER broker OPTIONS (topic 'ride', format 'json', event_time 'at', watermark_delay '4 s');
CREATE TABLE ride (LIKE ride_topic);
SELECT deltaflow.create_ingest('ride_topic', 'ride');
CREATE VIEW located AS SELECT r.*, w.s AS hopped, w.e FROM ride r CROSS JOIN LATERAL deltaflow.hop(r.at, '2 s', '10 s') AS w(s, e) WHERE i > -80;
SQL

# one of equal values (1.0, 1.00) is as good as another: mn is compared as a number

# name => call, definition's select list and GROUP BY over rows q with window_start and
# window_end, and options; x1, x2, ... are compared with a tolerance
my $exact = 'count(*) AS n, count(label) FILTER (WHERE b) AS some, sum(i) AS si, sum(l) AS sl, sum(n) AS sn, avg(i) AS ai, avg(l) AS al, avg(n) AS an, min(n) AS mn, max(label COLLATE "C") AS ml, max(at) AS last';
my %views = (
	five => { call => "deltaflow.hop(at, '2 s', '10 s')", list => "k, window_start, window_end, $exact", group => 'k, window_start, window_end' },
	odd => { call => "deltaflow.hop(at, '3 s', '10 s', '2020-01-01 00:00:01+00')", list => 'window_end AS we, label, bool_or(b) AS bo, bit_xor(i) AS bx, variance(i) AS vi, stddev_pop(n) AS sp, sum(at - timestamptz \'2024-01-01\') FILTER (WHERE isfinite(at)) AS st', group => 'window_end, label' },
	floats => { call => "deltaflow.hop(at, '4 s', '6 s')", list => 'window_start, k, sum(d) AS x1, avg(d) AS x2, stddev(d) AS x3, corr(d, i) AS x4, max(d) AS m', group => 'window_start, k' },
	steps => { call => "deltaflow.cumulate(at, '5 s', '20 s')", list => "window_start, window_end, k % 2 AS odd, $exact", group => 'window_start, window_end, 3' },
	ends => { call => "deltaflow.cumulate(at, '4 s', '12 s')", list => "window_end, count(*) AS n, coalesce(sum(i), 0) / count(*) AS ratio, to_char(window_end AT TIME ZONE 'UTC', 'MI:SS') AS t", group => 'window_end', having => 'count(*) > 1' },
	gaps => { call => "deltaflow.hop(at, '10 s', '3 s')", list => 'window_start, sum(n) AS n', group => 'window_start' },
	tumbling => { call => "deltaflow.hop(at, '5 s', '5 s')", list => 'window_start, k, count(*) AS n', group => 'window_start, k', plain => 1 },
	local => { call => "deltaflow.hop(at AT TIME ZONE 'UTC', '2 s', '4 s')", list => 'window_start, count(*) AS n', group => 'window_start', plain => 1 },
	topical => { call => "deltaflow.hop(at, '2 s', '10 s')", list => "label, window_end, $exact", group => 'label, window_end', from => 'ride_topic' },
	closed => { call => "deltaflow.hop(at, '3 s', '9 s')", list => 'window_start, window_end, count(*) AS n, max(l) AS l', group => 'window_start, window_end', emit => 'close' },
	nested => { call => "deltaflow.hop(at, '2 s', '10 s')", list => 'window_start, sum(l) AS l', group => 'window_start', where => 'i > -80',
		query => 'WITH c AS (SELECT l + 0 AS v, hopped FROM located) SELECT hopped AS window_start, sum(v) AS l FROM c GROUP BY hopped' },
);
$views{sketch} = { call => "deltaflow.hop(at, '2 s', '8 s')", list => 'window_start, hll_cardinality(hll_add_agg(hll_hash_integer(i))) AS n', group => 'window_start' } if $sketches;

my $lateness = '3 s';

sub definition
{
	my ($view) = @_;
	my $source = $view->{from} // 'ride';

	return $view->{query} // "SELECT $view->{list} FROM $source CROSS JOIN LATERAL $view->{call} AS w GROUP BY $view->{group}"
	  . ($view->{having} ? " HAVING $view->{having}" : '');
}

sub create
{
	my ($name) = @_;
	my $view = $views{$name};
	my $emit = $view->{emit} // 'update';
	my $late = $view->{plain} ? '' : ", lateness => '$lateness', emit => '$emit'";

	sql("SELECT deltaflow.create_view('$name', \$def\$" . definition($view) . "\$def\$$late)");
}

# Pairs of a row and a window that are late: by the epochs' log, and as they were kept.
sub pairs
{
	my ($name) = @_;
	my $pipeline = ($views{$name}{from} // 'ride') eq 'ride' ? 'ride' : 'ride_topic';
	my $where = $views{$name}{where} // 'true';

	return (<<SQL, <<SQL);
SELECT part, off, w.window_start, w.window_end
FROM ride JOIN deltaflow.epochs e ON e.name = '$pipeline' AND e.partition = part AND off >= e.first_offset AND off < e.next_offset
	CROSS JOIN LATERAL $views{$name}{call} AS w
WHERE ($where) AND w.window_end + interval '$lateness' <= e.watermark
SQL
SELECT partition, record_offset, window_start, window_end FROM deltaflow.late_rows WHERE name = '$name'
SQL
}

# Rows on one side only.
sub differences
{
	my ($one, $other) = @_;

	return sql("SELECT 'more', * FROM (($one) EXCEPT ALL ($other)) a LIMIT 3", "SELECT 'less', * FROM (($other) EXCEPT ALL ($one)) b LIMIT 3");
}

# What the live view must show: the definition over the pairs that were not late.
sub expected
{
	my ($name) = @_;
	my $view = $views{$name};
	my $where = $view->{where} // 'true';
	my $having = $view->{having} // 'true';

	$having .= " AND window_end + interval '$lateness' <= (SELECT watermark FROM deltaflow.status WHERE name = '$name')" if $view->{emit};
	return <<SQL;
SELECT $view->{list} FROM (
	SELECT ride.*, w.window_start, w.window_end FROM ride CROSS JOIN LATERAL $view->{call} AS w
	WHERE ($where) AND NOT EXISTS (SELECT FROM deltaflow.late_rows l WHERE l.name = '$name' AND l.partition = part AND l.record_offset = off
		AND (l.window_start, l.window_end) IS NOT DISTINCT FROM (w.window_start::timestamptz, w.window_end::timestamptz))) q
GROUP BY $view->{group} HAVING $having
SQL
}

# The columns of a query as text, x1, x2, ... rounded.
sub as_text
{
	my ($name, $query) = @_;
	my @columns = split /\n/, sql("SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = '$name'::regclass ORDER BY attnum");

	return 'SELECT ' . join(', ', map { /^x\d$/ ? "round($_\::numeric, 6)" : /^mn$/ ? $_ : "$_\::text" } @columns) . " FROM ($query) t";
}

my $late = 0;
my $filled = 0;

sub check_all
{
	my ($when) = @_;

	for my $name (grep { $_ ne 'tumbling' || $filled } sort keys %views)
	{
		is(sql("SELECT deltaflow.wait('$name')"), 't', "$when: $name has caught up")
		  or BAIL_OUT(sql('SELECT name, state, last_error, hint FROM deltaflow.status'));
		is(differences(as_text($name, "SELECT * FROM $name"), as_text($name, expected($name))), '', "$when: $name is its definition over the rows that were not late");
		is(differences(pairs($name)), '', "$when: $name: late is what the log says") unless $views{$name}{plain};
	}
	check_books($node, $when);
	$late = sql('SELECT count(*) FROM deltaflow.late_rows');
}

# ---- records ----

my $now = 1000;				# seconds of the day

sub record
{
	my ($partition) = @_;
	my $maybe = sub { rand() < 0.1 ? 'null' : $_[0] };
	my $pick = sub { $_[ int rand @_ ] };
	my $time = $now - 2 * $partition + $pick->(rand 3, rand 3, rand 3, -rand 8, -rand 25);
	my $at = sprintf '"2024-03-10 %02d:%02d:%09.6f+00"', $time / 3600, $time / 60 % 60, $time - 60 * int($time / 60);

	$at = sprintf '"2024-03-10 %02d:%02d:%02d+00"', $time / 3600, $time / 60 % 60, $time % 60 if rand() < 0.3;
	$at = $pick->('null', '"-infinity"', '"4714-11-24 00:00:00+00 BC"') if rand() < 0.02;
	return sprintf '{"k": %s, "label": %s, "at": %s, "i": %s, "l": %s, "n": %s, "d": %s, "b": %s}',
	  $maybe->(int rand 6), $maybe->($pick->('"a"', '"B"', '"é"')), $at, $maybe->(int(rand 200) - 100), $maybe->(int rand 1e15),
	  $maybe->($pick->('1.0', '1.00', '"NaN"', '1e20', sprintf('%.3f', rand 1000))), $maybe->(sprintf '%.6f', rand 1000), $maybe->($pick->('true', 'false'));
}

sub produce
{
	my ($records) = @_;

	$mock->produce_lines('ride', map { my $p = int rand 3; "$p\tk\t" . record($p) } 1 .. $records);
}

# ---- the test ----

create($_) for grep { $_ ne 'tumbling' } sort keys %views;
produce(100);
check_all('at first');
create('tumbling');
$filled = 1;				# filled from what is there: nothing old is late
for my $round (1 .. 8)
{
	sql("ALTER SYSTEM SET deltaflow.epoch_max_records = " . (1 + int rand 60), 'SELECT pg_reload_conf()');
	for (1 .. 1 + rand 4)
	{
		$now += rand 6;
		produce(int rand 60);
		sql("SELECT deltaflow.wait('five')") if rand() < 0.7;
	}
	kill_worker($node, 'ride', 'KILL') if $round == 3 || $round == 5;
	wait_for(sub { eval { ($node->psql('postgres', 'SELECT 1'))[0] == 0 } }, 'the server is up');
	$node->restart if $round == 6;
	check_all("round $round");
}
cmp_ok($late, '>', 100, 'many rows were late for windows');
cmp_ok(sql('SELECT count(*) FROM five_state WHERE isfinite(open_from)'), '>', 0, 'some rows were late for some of their windows only');

# ---- batch ----

is(sql("SELECT count(*) FROM deltaflow.reconcile('five') WHERE reason NOT LIKE '%late rows of this window%'"), 0, 'reconcile names late rows as the reason');
is(sql("SELECT count(*) > 0 FROM deltaflow.reconcile('five')"), 't', 'there are differences');
cmp_ok(sql("SELECT deltaflow.recompute('five', '2024-03-10 00:16:40+00', '2024-03-10 00:17:00+00')"), '>=', 0, 'recompute of a range');
is(sql("SELECT count(*) FROM deltaflow.reconcile('five', '2024-03-10 00:16:40+00', '2024-03-10 00:16:52+00')"), 0, 'its windows are the batch answer');
for my $name (sort keys %views)
{
	next if $views{$name}{emit};
	sql("SELECT deltaflow.recompute('$name', NULL, NULL)");
	is(sql("SELECT count(*) FROM deltaflow.reconcile('$name')"), 0, "$name: late rows are taken in");
}
check_books($node, 'after recompute');
sql("SELECT deltaflow.run('steps', 'steps_run', '2024-03-10 00:16:40+00', '2024-03-10 00:17:20+00')");
is(differences('SELECT * FROM steps_run', q(SELECT * FROM steps_batch WHERE window_start >= '2024-03-10 00:16:40+00' AND window_start < '2024-03-10 00:17:20+00')), '', 'run over a range of cycles');
sql("SELECT deltaflow.run('five', 'five_run', '2024-03-10 00:16:42+00', '2024-03-10 00:17:20+00')") for 1 .. 2;
is(differences('SELECT * FROM five_run', q(SELECT * FROM five_batch WHERE window_start >= '2024-03-10 00:16:42+00' AND window_start < '2024-03-10 00:17:20+00')), '', 'run over a range of windows');

# recomputed views go on
produce(100);
is(sql("SELECT deltaflow.wait('five')"), 't', 'rows come after recompute');
check_same($node, $_, 'in the end') for 'five', 'steps', 'topical';

# a reader needs no right but to the live view
sql('CREATE ROLE reader', 'GRANT SELECT ON five TO reader');
is(sql('SET ROLE reader', 'SELECT count(*) > 0 FROM five'), 't', 'GRANT on the live view is enough');

$node->stop;
done_testing();
