#
# 040_batch.pl
#		Reconcile and recompute: what differs is shown, with its reason, and set right.
#
use strict;
use warnings;
use Deltaflow::Mock;
use Deltaflow::Util;
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { 'car' => 1 });
my $node = deltaflow_node('batch', "timezone = 'UTC'");
create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE car_topic (booth int, toll numeric, weight float8, at timestamptz)
		SERVER broker OPTIONS (topic 'car', format 'json', event_time 'at', watermark_delay '0');
	CREATE TABLE car (LIKE car_topic);
	SELECT deltaflow.create_ingest('car_topic', target => 'car');
	SELECT deltaflow.create_view('stored', $$
		SELECT booth, date_bin('10 min', at, '2000-01-01') AS start, count(*) AS n, sum(toll) AS tolls, sum(weight) AS weight
		FROM car GROUP BY 1, 2 $$, lateness => '0');
	SELECT deltaflow.create_view('direct', $$
		SELECT booth, date_bin('10 min', at, '2000-01-01') AS start, count(*) AS n, sum(toll) AS tolls
		FROM car_topic GROUP BY 1, 2 $$, lateness => '0');
});

# A car at minute m.
sub car
{
	my ($booth, $toll, $minute) = @_;
	return sprintf '{"booth": %d, "toll": %s, "weight": 0.1, "at": "2020-01-01 00:%02d:00Z"}', $booth, $toll, $minute;
}

sub settled
{
	wait_for_rows($node, q{SELECT deltaflow.wait('stored') AND deltaflow.wait('direct')}, 't', 'all is consumed');
}

# event time rises, so that however the epochs cut it nothing is late
$mock->produce('car', map { car($_ % 3, "$_.50", int($_ / 10)) } 0 .. 299);
settled();
check_same($node, $_, 'before anything is late') for qw(stored direct);

# the watermark passes 00:40, then a car of 00:05 comes: late
$mock->produce('car', car(1, 1, 50));
settled();
$mock->produce('car', car(1, 100, 5), car(9, 7, 6));
settled();
for my $view (qw(stored direct))
{
	is( $node->safe_psql('postgres', "SELECT side, row_data->>'booth', reason FROM deltaflow.reconcile('$view') ORDER BY 1, 2"),
		"batch|1|2 late rows of this window are not in the live view\n"
		  . "batch|9|2 late rows of this window are not in the live view\n"
		  . "live|1|2 late rows of this window are not in the live view",
		"$view: late rows are the reason");
	is($node->safe_psql('postgres', "SELECT count(*) FROM deltaflow.reconcile('$view', '2020-01-01 00:10', NULL)"), '0', "$view: other windows agree");
	is( $node->safe_psql('postgres', "SELECT count(*), min(window_start), max(window_end) FROM deltaflow.late_rows WHERE name = '$view'"),
		'2|2020-01-01 00:00:00+00|2020-01-01 00:10:00+00', "$view: late rows are kept");
}
check_books($node, 'with late rows');

is($node->safe_psql('postgres', "SELECT deltaflow.recompute('$_', '2020-01-01 00:00', '2020-01-01 00:10')"), '2', "$_: recompute takes them in")
  for qw(stored direct);
is($node->safe_psql('postgres', "SELECT count(*) FROM deltaflow.reconcile('$_')"), '0', "$_: nothing differs then") for qw(stored direct);
check_books($node, 'after recompute');
is($node->safe_psql('postgres', "SELECT sum(late), sum(applied) FROM deltaflow.accounting WHERE name = 'direct'"), '0|303', 'recompute moves late rows to applied');

# and the worker goes on from the recomputed state
$mock->produce('car', car(1, 3, 55), car(9, 3, 55));
settled();
check_same($node, $_, 'after recompute and more rows') for qw(stored direct);

# a foreign hand in the stored rows, or in the state, is seen and set right
$node->safe_psql('postgres', "UPDATE car SET toll = toll + 1 WHERE booth = 0 AND at = '2020-01-01 00:15+00'");
is( $node->safe_psql('postgres', "SELECT side, row_data->>'booth' FROM deltaflow.reconcile('stored') ORDER BY 1"),
	"batch|0\nlive|0", 'changed rows of the source are seen');
is($node->safe_psql('postgres', "SELECT deltaflow.recompute('stored')"), '1', 'and recomputed');
is($node->safe_psql('postgres', "SELECT count(*) FROM deltaflow.reconcile('stored')"), '0', 'and agree');

# floats: the live sum is exact, the plain one rounds; both count as equal
is($node->safe_psql('postgres', "SELECT count(*) FROM deltaflow.reconcile('stored') WHERE row_data ? 'weight'"), '0', 'rounding is no difference');

# a range looks at computed times and keys only behind WHERE, as the definition does: booth 9 would divide by zero
$node->safe_psql('postgres', q{
	SELECT deltaflow.create_view('guarded', $$
		SELECT date_bin('10 min', at + interval '1 min' / (9 - booth), '2000-01-01') AS start, count(*) AS n FROM car WHERE booth <> 9 GROUP BY 1 $$);
	SELECT deltaflow.create_view('guarded_sessions', $$
		SELECT part, s, count(*) AS n FROM (
			SELECT 10 / (9 - booth) AS part, deltaflow.session(at + interval '1 min' / (9 - booth), '2 min')
				OVER (PARTITION BY 10 / (9 - booth) ORDER BY at + interval '1 min' / (9 - booth)) AS s
			FROM car WHERE booth <> 9) c
		GROUP BY part, s $$);
});
for my $view (qw(guarded guarded_sessions))
{
	wait_for_rows($node, "SELECT state FROM deltaflow.status WHERE name = '$view'", 'running', "$view: filled");
	is($node->safe_psql('postgres', "SELECT deltaflow.recompute('$view', '2020-01-01', '2020-01-02')"), '0', "$view: recomputed over a range");
	check_same($node, $view, 'recomputed over a range');
	is( $node->safe_psql('postgres', "SELECT deltaflow.run('$view', '${view}_day', '2020-01-01', '2020-01-02') = (SELECT count(*) FROM $view)"),
		't', "$view: run over a range");
}

# the caller sees the error, and nothing has changed
my ($status, $out, $error) = $node->psql('postgres', "SELECT deltaflow.recompute('stored', '2020-01-01 00:05', NULL)");
like($error, qr/"since" is not the border of a window/, 'half a window cannot be recomputed');
$node->safe_psql('postgres', "SELECT deltaflow.pause('stored')");
($status, $out, $error) = $node->psql('postgres', "SELECT * FROM deltaflow.reconcile('stored')");
like($error, qr/view "stored" is not running/, 'a paused view is not compared');

# a batch that is cancelled leaves what was there
$node->safe_psql('postgres', q{
	CREATE TABLE old (LIKE car);
	INSERT INTO old SELECT i % 5, 1, 1, '2019-01-01 00:00+00'::timestamptz + i * interval '1 s' FROM generate_series(1, 5000) i;
	SELECT deltaflow.run('direct', 'kept', NULL, NULL, '{"car_topic": "old"}');
	CREATE FUNCTION stall(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN $1; END $$;
	CREATE VIEW slow AS SELECT stall(booth) AS booth, toll, weight, at FROM old;
});
my $before = $node->safe_psql('postgres', 'SELECT md5(string_agg(k::text, chr(10) ORDER BY k)) FROM kept k');
my ($printed, $complaint) = ('', '');
my $session = start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', q{SELECT deltaflow.run('direct', 'kept', NULL, NULL, '{"car_topic": "slow"}')} ],
	'>', \$printed, '2>', \$complaint);
wait_for_rows($node, q{SELECT command, view, phase FROM deltaflow.progress}, 'run|direct|reading the source', 'its progress is shown');
$node->safe_psql('postgres', 'SELECT pg_cancel_backend(pid) FROM deltaflow.progress');
wait_for_rows($node, q{SELECT count(*) FROM deltaflow.progress}, '0', 'cancel ends it');
is($node->safe_psql('postgres', 'SELECT md5(string_agg(k::text, chr(10) ORDER BY k)) FROM kept k'), $before, 'the old rows are still there');
$session->finish;
like($complaint, qr/canceling statement due to user request/, 'and says so');

$node->stop;
done_testing();
