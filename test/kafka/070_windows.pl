# Windows over a real topic: Nexmark's q5, q11, q12 and q17 on the bench's own events, and
# toll booths of whose cars three in ten come late.
use strict;
use warnings;

use Deltaflow::Kafka;
use Deltaflow::Util;
use PostgreSQL::Test::Utils;
use Test::More;

my $kafka = Deltaflow::Kafka->get;
my $node = deltaflow_node('windows', 'jit = off');
my $events = 200_000;

create_broker($node, $kafka->address);

sub query { return $node->safe_psql('postgres', $_[0]); }

# ---- Nexmark ----

my $top = $ENV{DELTAFLOW_TOP};
my $nexmark = "$PostgreSQL::Test::Utils::tmp_check/nexmark";
my $topic = $kafka->create_topic('nexmark', 4);

system_or_bail('cc', '-O2', '-std=gnu11', '-o', $nexmark, "$top/bench/nexmark.c", '-lrdkafka', '-lm');
system_or_bail($nexmark, $kafka->address, $topic, '--events', $events, '--event-rate', 2000, '--seed', 7);

query(qq{
	CREATE FOREIGN TABLE events (event_type int, auction bigint OPTIONS (field 'bid.auction'), bidder bigint OPTIONS (field 'bid.bidder'),
		price bigint OPTIONS (field 'bid.price'), date_time timestamp OPTIONS (field 'bid.dateTime'))
	SERVER broker OPTIONS (topic '$topic', format 'json', event_time 'date_time', watermark_delay '4 s');
	CREATE VIEW bid AS SELECT auction, bidder, price, date_time FROM events WHERE event_type = 2});

my %definition = (
	q5 => q{SELECT auction, window_start, window_end, count(*) AS bids FROM bid CROSS JOIN LATERAL deltaflow.hop(date_time, '2 s', '10 s') GROUP BY 1, 2, 3},
	q11 => q{SELECT bidder, lower(s) AS first_bid, upper(s) AS session_end, count(*) AS bids
		FROM (SELECT bidder, deltaflow.session(date_time, '10 s') OVER (PARTITION BY bidder ORDER BY date_time) AS s FROM bid) b GROUP BY bidder, s},
	q12 => q{SELECT bidder, date_bin('10 s', date_time, '2000-01-01') AS window_start, count(*) AS bids FROM bid GROUP BY 1, 2},
	q17 => q{SELECT auction, date_trunc('day', date_time) AS day, count(*) AS bids, count(*) FILTER (WHERE price < 10000) AS low,
		count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle, count(*) FILTER (WHERE price >= 1000000) AS high,
		min(price) AS lowest, max(price) AS highest, avg(price) AS mean, sum(price) AS total FROM bid GROUP BY 1, 2});

query("SELECT deltaflow.create_view('$_', \$q\$$definition{$_}\$q\$)") for sort keys %definition;
for my $name (sort keys %definition)
{
	is(query("SELECT deltaflow.wait('$name', '2 minutes')"), 't', "$name has taken all events");
	is(query("SELECT deltaflow.is_final('$name', '2000-01-01'::timestamp)"), 'f', "$name: without lateness nothing is final");
	check_same($node, $name, 'over a topic of Apache Kafka');
}
my $bids = query('SELECT count(*) FROM bid');
cmp_ok($bids, '>', $events * 0.9, 'most events are bids');
is(query('SELECT sum(bids) FROM q17'), $bids, 'q17 counts each bid once');
is(query('SELECT sum(bids) FROM q11'), $bids, 'q11 too');
is(query('SELECT sum(bids) FROM q5'), 5 * $bids, 'q5 in five windows');
cmp_ok(query('SELECT count(*) FROM q11'), '>', query('SELECT count(DISTINCT bidder) FROM q11'), 'bidders have more than one session');

# ---- toll booths, three cars in ten late ----

$topic = $kafka->create_topic('toll', 2);
query(qq{
	CREATE FOREIGN TABLE toll_topic (booth int NOT NULL, plate text NOT NULL, toll numeric, entry_time timestamptz NOT NULL,
		part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic '$topic', format 'json', event_time 'entry_time', watermark_delay '30 s');
	CREATE TABLE toll (LIKE toll_topic);
	SELECT deltaflow.create_ingest('toll_topic', target => 'toll');
	SELECT deltaflow.create_view('booth_stats', \$\$ SELECT booth, date_bin('10 min', entry_time, '2000-01-01') AS window_start,
		count(*) AS vehicles, sum(toll) AS tolls, max(toll) AS dearest FROM toll GROUP BY 1, 2 \$\$, lateness => '2 min')});
for my $round (0 .. 19)
{
	# a car each second; three in ten passed 25 minutes ago
	query(qq{
		INSERT INTO toll_topic (booth, plate, toll, entry_time, part)
		SELECT n % 3, 'P-' || n % 211, (n % 37) * 0.25,
			timestamptz '2014-09-04 07:00+00' + n * interval '1 s' - CASE WHEN n % 10 IN (2, 5, 7) THEN interval '25 min' ELSE interval '0' END, n / 10 % 2
		FROM generate_series($round * 600, $round * 600 + 599) n});
	is(query(q{SELECT deltaflow.wait('booth_stats')}), 't', "round $round is taken");
}
my $late = query(q{SELECT count(*) FROM deltaflow.late_rows WHERE name LIKE '%booth_stats'});
cmp_ok($late, '>', 2500, "most of the 3,600 late cars are late for their windows ($late)");
cmp_ok($late, '<=', 3600, 'and no other');
is(query('SELECT count(*) FROM toll'), 12000, 'all are stored');
my $accepted = q{SELECT booth, date_bin('10 min', entry_time, '2000-01-01'), count(*), sum(toll), max(toll) FROM toll t
	WHERE NOT EXISTS (SELECT FROM deltaflow.late_rows l WHERE l.name LIKE '%booth_stats' AND l.partition = t.part AND l.record_offset = t.off) GROUP BY 1, 2};
is(query("SELECT count(*) FROM ((TABLE booth_stats EXCEPT ALL ($accepted)) UNION ALL (($accepted) EXCEPT ALL TABLE booth_stats)) d"), 0,
	'the live view is the definition over the cars that were not late');
is(query(q{SELECT string_agg(DISTINCT reason, ';') ILIKE '%late%' FROM deltaflow.reconcile('booth_stats')}), 't', 'reconcile says why the others are missing');
check_books($node, 'with late cars');
cmp_ok(query(q{SELECT deltaflow.recompute('booth_stats')}), '>', 0, 'recompute takes them in');
is(query('SELECT count(*) FROM ((TABLE booth_stats EXCEPT ALL TABLE booth_stats_batch) UNION ALL (TABLE booth_stats_batch EXCEPT ALL TABLE booth_stats)) d'), 0,
	'then live is batch');
is(query('SELECT sum(vehicles) FROM booth_stats'), 12000, 'with every car');

$node->stop;
done_testing();
