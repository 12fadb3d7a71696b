#
# 051_session.pl
#		Sessions, end to end: live equals batch over the rows accepted, whatever comes when.
#
# Rows out of order, twice, late, at exactly the gap, without a time or a key; cut into
# small epochs, with kills and restarts in between.  Bug classes of other systems are
# probed by name: 21 (a session's end, to the microsecond), 22 (merging: two and three
# sessions, final ones, over epochs and restarts, the same event twice), 25 (state that
# has left memory is not begun anew), 32 (cuts into epochs do not show).
#
use strict;
use warnings;
use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { bid => 2, edge => 1 });
my $node = deltaflow_node('session', "timezone = 'UTC'", 'deltaflow.epoch_max_records = 25', 'deltaflow.epoch_interval = 20ms', 'deltaflow.group_cache = 64kB', 'fsync = off');
my $gap = 10;
my $id = 0;
my $clock = 1_700_000_000;    # event time moves on from here

seed_random();
create_broker($node, $mock->address);
my $q11 = q{
	SELECT bidder, lower(s) AS session_start, upper(s) AS session_end, count(*) AS bids, max(price) AS price, sum(price) AS total, min(id) AS first_id
	FROM (SELECT id, bidder, price, deltaflow.session(date_time, '10 s') OVER (PARTITION BY bidder ORDER BY date_time) AS s FROM %s) b
	GROUP BY bidder, s};
my ($on_table, $on_topic) = map { sprintf $q11, $_ } qw(bid bid_topic);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql(qq{
	CREATE FOREIGN TABLE bid_topic (id int, bidder text, price numeric, date_time timestamptz, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
		SERVER broker OPTIONS (topic 'bid', format 'json', event_time 'date_time', watermark_delay '5 s', idle_timeout '1 day');
	CREATE TABLE bid (LIKE bid_topic);
	SELECT deltaflow.create_ingest('bid_topic', target => 'bid');
	SELECT deltaflow.create_view('q11', \$\$$on_table\$\$);
	SELECT deltaflow.create_view('with_late', \$\$$on_table\$\$, lateness => '20 s');
	SELECT deltaflow.create_view('kept', \$\$$on_table\$\$, lateness => '20 s', options => '{"retain": "20 s"}');
	SELECT deltaflow.create_view('closed', \$\$$on_table\$\$, lateness => '20 s', emit => 'close');
	SELECT deltaflow.create_view('q11_topic', \$\$$on_topic\$\$);
	CREATE TABLE accepted (LIKE bid);
});

# One bid as JSON; seconds may be undefined.
sub bid
{
	my ($bidder, $seconds) = @_;

	return sprintf '{"id": %d, "bidder": %s, "price": %d.%02d, "date_time": %s}', ++$id, defined $bidder ? qq("$bidder") : 'null', rand 1000, rand 100,
	  defined $seconds ? sprintf('"%s"', timestamp($seconds)) : 'null';
}

sub timestamp
{
	my ($seconds) = @_;
	my $whole = int $seconds;
	my @t = gmtime $whole;

	return sprintf '%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0], ($seconds - $whole) * 1e6 + 0.5;
}

# Time goes on by about half a second per bid; most come within 15 s of it, some much later.
sub random_bids
{
	my ($n) = @_;
	my @bids;

	for (1 .. $n)
	{
		my $behind = rand() < 0.85 ? rand 15 : rand() < 0.5 ? rand 60 : rand 300;
		my $bidder = rand() < 0.03 ? undef : 'b' . int(rand 12);
		my $at = $clock += rand;

		$at -= $behind;
		$at = int $at if rand() < 0.4;    # whole seconds: pauses of exactly the gap
		push @bids, bid($bidder, rand() < 0.02 ? undef : $at);
		push @bids, $bids[ rand @bids ] if rand() < 0.05;    # the same event twice
	}
	$mock->produce('bid', @bids);
}

sub settle
{
	my ($when) = @_;

	wait_for_rows($node, join(' AND ', 'SELECT ' . join ' AND ', map { "deltaflow.wait('$_', '10 s')" } qw(bid q11 with_late kept closed q11_topic)), 't', "all is consumed $when");
}

# Rows on one side only, as text.
sub differences
{
	my ($one, $other) = @_;

	return sql(qq{
		SELECT 'first', * FROM (SELECT o::text FROM $one o EXCEPT ALL SELECT o::text FROM $other o) l
		UNION ALL SELECT 'second', * FROM (SELECT o::text FROM $other o EXCEPT ALL SELECT o::text FROM $one o) r LIMIT 10});
}

sub check
{
	my ($when) = @_;

	settle($when);
	is(differences('q11', 'q11_batch'), '', "over the table, live equals batch $when");
	is(differences('q11_topic', 'q11_topic_batch'), '', "over the topic, live equals batch $when");
	is(differences('q11', 'q11_topic'), '', "both are the same $when");
	sql(q{TRUNCATE accepted;
		INSERT INTO accepted SELECT * FROM bid WHERE (part, off) NOT IN (
			SELECT partition, record_offset FROM deltaflow.late_row l JOIN deltaflow.view v ON v.id = view_id WHERE v.live = 'with_late'::regclass AND taken_in_at IS NULL)});
	sql(q{SELECT deltaflow.run('with_late', 'over_accepted', NULL, NULL, '{"bid": "accepted"}')});
	is(differences('with_late', 'over_accepted'), '', "with late rows, live equals batch over the rows accepted $when");
	is(sql(q{
		SELECT count(*) FROM with_late_state GROUP BY bidder, session_first HAVING count(*) > 1}), '', "a row per session $when");
	is(sql(q{
		SELECT count(*) FROM (SELECT session_first - lag(session_last) OVER (PARTITION BY bidder ORDER BY session_first) AS pause FROM with_late_state) s
		WHERE pause < '10 s'}), '0', "sessions do not touch $when");
	check_books($node, $when);
	return if $when =~ /recompute/;    # which takes late rows in
	is(differences('closed', q{(SELECT * FROM with_late WHERE session_end + interval '30 s' <= (SELECT deltaflow.watermark_of('with_late_state')))}), '',
		"final ones only, with emit => 'close' $when");
	my $horizon = sql("SELECT coalesce(horizon, '-infinity') FROM deltaflow.view WHERE live = 'kept'::regclass");

	is(differences(map { "(SELECT * FROM $_ WHERE session_end > '$horizon')" } 'kept', 'with_late'), '', "with retain, every session that ends behind the horizon is whole $when");
	is(differences("(SELECT * FROM kept WHERE session_end <= '$horizon')", "(SELECT k.* FROM kept k JOIN with_late w ON k IS NOT DISTINCT FROM w AND k.session_end <= '$horizon')"), '',
		"and those still there before it are no others $when");
	is(sql("SELECT count(*) FROM deltaflow.reconcile('kept') WHERE reason NOT LIKE '%late rows%'"), '0', "reconcile leaves removed ones out $when");
	is(sql(q{SELECT count(*) FILTER (WHERE deltaflow.is_final('with_late', session_end)) = (SELECT count(*) FROM closed) FROM with_late}), 't', "is_final knows them $when");
	is(sql(q{
		WITH due AS (SELECT b.part, b.off, b.date_time + interval '30 s' <= e.watermark AS late FROM bid b
			JOIN deltaflow.epochs e ON e.name = 'bid' AND e.partition = b.part AND b.off >= e.first_offset AND b.off < e.next_offset)
		SELECT count(*) FROM due FULL JOIN (SELECT partition AS part, record_offset AS off, true AS noted FROM deltaflow.late_rows WHERE name = 'with_late') l USING (part, off)
		WHERE coalesce(noted, false) <> coalesce(late, false)}), '0', "late are exactly the rows that the epoch log says $when");
}

random_bids(400);
check('at first');

for my $round (1 .. 3)
{
	random_bids(150);
	wait_for(sub { kill_worker($node, 'bid', 'KILL') }, 'a worker to kill');
	random_bids(100);
	wait_for(sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }, 'the server is up again');
	check("after kill $round");
}
random_bids(200);
$node->restart;
random_bids(200);
check('after a restart');
cmp_ok(sql(q{SELECT count(*) FROM deltaflow.late_rows WHERE name = 'with_late'}), '>', 10, 'rows were late');
cmp_ok(sql(q{SELECT count(*) FROM closed}), '>', 10, 'sessions became final');
cmp_ok(sql(q{SELECT max(bids) FROM q11}), '>', 10, 'sessions are of several rows');
cmp_ok(sql(q{SELECT count(*) FROM kept}), '<', 0.5 * sql(q{SELECT count(*) FROM with_late}), 'with retain, old ones are gone');

# a view made now is filled from what is there
sql(qq{SELECT deltaflow.create_view('new_table', \$\$$on_table\$\$); SELECT deltaflow.create_view('new_topic', \$\$$on_topic\$\$)});
random_bids(200);
wait_for_rows($node, q{SELECT deltaflow.wait('new_table', '10 s') AND deltaflow.wait('new_topic', '10 s')}, 't', 'new views are filled');
check('while views were filled');
is(differences('new_table', 'q11'), '', 'a view filled from the table has the same sessions');
is(differences('new_topic', 'q11'), '', 'and one filled from the topic');
is(differences('new_table_state', 'q11_state'), '', 'to the byte, whatever the epochs (class 32)');

# ---- batch over a range ----

# deltaflow.run gives the sessions that begin in the range, whole, and leaves the others of its target
my ($since, $until) = map { timestamp($clock - $_) } 600, 300;
my $in_range = "session_start >= '$since' AND session_start < '$until'";

sql("CREATE TABLE ranged AS SELECT * FROM q11_batch WHERE ($in_range) IS NOT TRUE; INSERT INTO ranged SELECT 'wrong', '$since', '$since', 1, 1, 1, 1");
sql("SELECT deltaflow.run('q11', 'ranged', '$since', '$until')");
is(differences('ranged', 'q11_batch'), '', 'run over a range replaces the sessions that begin in it');

# recompute closes the range over whole sessions of each key, and takes late rows in
my $late = q{SELECT count(*) FROM deltaflow.late_row l JOIN deltaflow.view v ON v.id = view_id WHERE v.live = 'with_late'::regclass AND taken_in_at IS NULL};
my $late_before = sql($late);
cmp_ok(sql("$late AND event_time >= '$since' AND event_time < '$until'"), '>', 0, 'rows of the range are late');
cmp_ok(sql("SELECT count(*) FROM deltaflow.reconcile('with_late', '$since', '$until') WHERE reason LIKE '%late rows%'"), '>', 0, 'reconcile names them');
is(sql("SELECT count(*) FROM deltaflow.reconcile('with_late') WHERE reason NOT LIKE '%late rows%'"), '0', 'and no other reason');
cmp_ok(sql("SELECT deltaflow.recompute('with_late', '$since', '$until')"), '>', 0, 'recompute changes live rows');
is(sql("SELECT count(*) FROM deltaflow.reconcile('with_late', '$since', '$until')"), '0', 'which are as in batch then');
is(sql("$late AND event_time >= '$since' AND event_time < '$until'"), '0', 'late rows of the range are taken in');
cmp_ok(sql($late), '>', 0, 'but not all others');
check('after recompute of a range');
random_bids(100);
check('after recompute and more rows');
# of those, some may be late for the range
sql("SELECT deltaflow.recompute('with_late', '$since', '$until')");
is(sql("SELECT deltaflow.recompute('with_late', '$since', '$until')"), '0', 'a second one changes nothing');

sql("SELECT deltaflow.recompute('kept')");
is(sql("SELECT count(*) FROM deltaflow.reconcile('kept')"), '0', 'with retain, recompute takes in the late rows of sessions that are kept');

# what a foreign hand took from the state or the source is set right, with all it hung together with
sql("DELETE FROM with_late_state WHERE session_first >= '$since' AND session_first < '$until' AND bidder = 'b1';
	UPDATE with_late_state SET bids = bids + 7 WHERE session_first < '$until' AND session_last >= '$until'");
sql("SELECT deltaflow.recompute('with_late', '$since', '$until')");
is(sql("SELECT count(*) FROM deltaflow.reconcile('with_late', '$since', '$until')"), '0', 'a state changed by others is recomputed');
check('after recompute of a changed state');
sql("DELETE FROM bid WHERE date_time >= '$since' AND date_time < timestamptz '$since' + interval '1 min' AND bidder <> 'b2'");
cmp_ok(sql("SELECT deltaflow.recompute('q11', '$since', '$until')"), '>', 0, 'rows deleted from the source are recomputed');
is(differences('q11', 'q11_batch'), '', 'and live equals batch, sessions that were one before included');
is(sql("SELECT deltaflow.recompute('q11_topic', NULL, '$until')"), '0', 'over the topic nothing was deleted');
cmp_ok(sql("SELECT deltaflow.recompute('with_late')"), '>', 0, 'all of it');
is(sql("SELECT count(*) FROM deltaflow.reconcile('with_late')"), '0', 'live equals batch, late rows included');
is(sql($late), '0', 'which are late no more');

# ---- edges, one at a time ----

sql(q{
	CREATE FOREIGN TABLE edge_topic (who int, at timestamptz) SERVER broker OPTIONS (topic 'edge', format 'json', event_time 'at', watermark_delay '0');
	CREATE TABLE edge (LIKE edge_topic);
	SELECT deltaflow.create_ingest('edge_topic', target => 'edge');
	SELECT deltaflow.create_view('edges', $$
		SELECT who, lower(s)::time AS since, upper(s)::time AS until, count(*) AS n
		FROM (SELECT who, deltaflow.session(at, '10 s') OVER (PARTITION BY who ORDER BY at) AS s FROM edge) e GROUP BY who, s $$, lateness => '1 min');
});

sub edge
{
	my ($who, @at) = @_;

	$mock->produce('edge', map { qq({"who": $who, "at": "2024-01-01 $_+00"}) } @at);
	wait_for_rows($node, q{SELECT deltaflow.wait('edges', '10 s')}, 't', "@at came");
}

sub edges_are
{
	my ($who, $expected, $what) = @_;

	is(sql(qq{SELECT since, until, n FROM edges WHERE who = $who ORDER BY 1}), $expected, $what);
}

edge(1, '12:00:00', '12:00:09.999999');
edge(1, '12:00:19.999999');
edges_are(1, "12:00:00|12:00:19.999999|2\n12:00:19.999999|12:00:29.999999|1", 'an event at the end of a session begins another, one a microsecond before belongs to it (class 21)');
edge(1, '12:00:19.999998');
edges_are(1, '12:00:00|12:00:29.999999|4', 'the last microsecond of a session bridges it with the one that begins at its end (classes 21, 22)');
edge(1, '12:00:19.999998', '12:00:19.999998');
edges_are(1, '12:00:00|12:00:29.999999|6', 'the same event again counts and moves nothing (class 22)');

edge(2, '12:01:00', '12:01:15', '12:01:30');
edge(2, '12:01:07.5', '12:01:22.5');
edges_are(2, '12:01:00|12:01:40|5', 'three sessions bridged (class 22)');

# watermark 12:10:00, lateness 1 min: sessions whose end + 10 s + 1 min lies behind it are final
edge(3, '12:08:30', '12:08:46', '12:10:00');
edge(3, '12:08:38');
edges_are(3, "12:08:30|12:08:40|1\n12:08:46|12:08:56|1\n12:10:00|12:10:10|1", 'a late row bridges nothing');
is(sql(q{SELECT event_time::time, window_start::time, window_end::time FROM deltaflow.late_rows WHERE name = 'edges'}), '12:08:38|12:08:38|12:08:48', 'it is kept with the session it would have begun');
edge(3, '12:08:50');
edges_are(3, "12:08:30|12:08:40|1\n12:08:46|12:08:56|1\n12:10:00|12:10:10|1", 'late to the microsecond: its own end + lateness is the watermark (class 21)');
edge(3, '12:08:50.000001');
edges_are(3, "12:08:30|12:08:40|1\n12:08:46|12:09:00.000001|2\n12:10:00|12:10:10|1", 'and a microsecond later it is not; the session that had ended goes on (class 25)');
edge(4, '12:09:00', '12:09:18', '12:12:00');
kill_worker($node, 'edge', 'KILL');
wait_for(sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }, 'the server is up again');
edge(4, '12:10:50.000001');
edges_are(4, "12:09:00|12:09:10|1\n12:09:18|12:09:28|1\n12:10:50.000001|12:11:00.000001|1\n12:12:00|12:12:10|1", 'after a kill the late bound is where it was');
is(sql(q{SELECT deltaflow.explain('edges') LIKE '%Open sessions: %' ORDER BY 1 DESC LIMIT 1}), 't', 'explain counts open sessions');

$node->stop;
done_testing();
