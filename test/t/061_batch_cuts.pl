# One stream under twenty random batch cuts, with restarts, terminations and kills of
# a real worker: where no row can be late the state is the same to the byte; where rows
# are late, the late ones are exactly those that the epoch log implies.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROUNDS = 20;
my $RECORDS = 3000;

my $mock = Deltaflow::Mock->start(topics => { cuts => 3 });
my $node = deltaflow_node('main', 'deltaflow.naptime = 1s', 'deltaflow.epoch_interval = 10', 'fsync = off', "timezone = 'Europe/Paris'");

seed_random();
create_broker($node, $mock->address);

# Out of order by up to an hour, NULLs, values that any wrong order of float sums would show.
sub record
{
	my ($i) = @_;
	my $pick = sub { $_[ int rand @_ ] };
	my $at = 1711846800 + $i * 10 + int rand 3600;       # around the beginning of summer time
	my @t = gmtime $at;

	return sprintf '{"at": "%04d-%02d-%02d %02d:%02d:%02d+00", "k": %s, "label": %s, "n": %s, "d": %s, "i": %d}',
	  $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ], $pick->('null', 1 .. 5), $pick->('null', '"a"', '"b"', '"B"'),
	  $pick->('1.0', '1.00', '-0.5', '12345678901234567890.123', '"NaN"', sprintf('%.3f', rand 10)), $pick->('1e16', '-1e16', '1', '0.125', '-0.0', rand), int rand 1e6;
}

# to every partition: one without event times would hold the watermark back
$mock->produce_lines('cuts', map { $_ % 3 . "\t\\N\t" . record($_) } 1 .. $RECORDS);
my $seen = 0;
wait_for(sub { my %ends = $mock->ends('cuts'); $seen = 0; $seen += $_->[1] for values %ends; $seen == $RECORDS }, 'the topic to hold every record');

# no row can be late: the delay is longer than the disorder of all partitions together
my %views = (
	totals => [ 'SELECT k, label, count(*) AS n, sum(n) AS sn, avg(i) AS ai, sum(d) AS sd, avg(d) AS ad, stddev(i) AS v FROM %s GROUP BY 1, 2', '' ],
	hours => [ q(SELECT date_trunc('hour', at) AS w, k, count(*) AS n, min(label) AS lo, max(n) AS hi, sum(d) AS sd, var_pop(d) AS vd, bit_xor(i) AS x FROM %s WHERE i % 3 > 0 GROUP BY 1, 2), q(, lateness => '0') ],
	days => [ q(SELECT date_trunc('day', at) AS w, count(*) FILTER (WHERE d > 0) AS n, avg(n) AS an FROM %s GROUP BY 1), q(, lateness => '0') ],
	everything => [ 'SELECT count(*) AS n, sum(n) AS sn, sum(d) AS sd, variance(n) AS v FROM %s', '' ],
	hops => [ q(SELECT h.window_start, h.window_end, k, count(*) AS n, sum(d) AS sd, max(label) AS hi FROM %s CROSS JOIN LATERAL deltaflow.hop(at, interval '10 minutes', interval '1 hour') h GROUP BY 1, 2, 3), q(, lateness => '0') ],
	sessions => [ q(SELECT k, s, count(*) AS n, sum(d) AS sd, avg(n) AS an FROM (SELECT *, deltaflow.session(at, interval '1 minute') OVER (PARTITION BY k ORDER BY at) AS s FROM %s) q GROUP BY k, s), q(, lateness => '0') ]);

# Makes the topic's ingests and views once more, in one transaction: workers see all of it or nothing.
sub set_up
{
	my ($round) = @_;
	my $script = qq{
		CREATE SCHEMA r$round; SET LOCAL search_path = r$round, public;
		CREATE FOREIGN TABLE strict_topic (at timestamptz, k int, label text, n numeric, d float8, i int, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
			SERVER broker OPTIONS (topic 'cuts', format 'json', event_time 'at', watermark_delay '30 days');
		CREATE FOREIGN TABLE hasty_topic (at timestamptz, k int, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
			SERVER broker OPTIONS (topic 'cuts', format 'json', event_time 'at', watermark_delay '5 minutes');
		CREATE TABLE events (LIKE strict_topic);
		CREATE TABLE hasty (LIKE hasty_topic);
		SELECT deltaflow.create_ingest('strict_topic', 'events', name => 'events$round');
		SELECT deltaflow.create_ingest('hasty_topic', 'hasty', name => 'hasty$round');
		SELECT deltaflow.create_view('quarters', \$d\$SELECT date_bin('15 minutes', at, '2000-01-01') AS w, k, count(*) AS n FROM hasty WHERE k IS DISTINCT FROM 3 GROUP BY 1, 2\$d\$, lateness => '1 minute');
	};

	for my $name (sort keys %views)
	{
		for my $source ('events', 'strict_topic')
		{
			my ($query, $options) = @{ $views{$name} };

			# % is also an operator of definitions
			$query =~ s/%s/$source/;
			$script .= "SELECT deltaflow.create_view('${name}_of_$source', \$d\$$query\$d\$$options);\n";
		}
	}
	$node->safe_psql('postgres', "BEGIN; $script COMMIT");
}

# Something happens while records are being taken.
sub disturb
{
	my ($round) = @_;
	my $how = (qw(none TERM KILL restart immediate pause TERM))[ $round % 7 ];
	my $after = int rand $RECORDS;

	wait_for(sub { my $n = 0; $node->psql('postgres', "SELECT count(*) FROM r$round.events", stdout => \$n); ($n || 0) >= $after }, "$after rows in round $round");
	kill_worker($node, undef, $how) if $how =~ /TERM|KILL/;
	$node->restart if $how eq 'restart';
	if ($how eq 'immediate')
	{
		$node->stop('immediate');
		$node->start;
	}
	if ($how eq 'KILL')
	{
		wait_for(sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }, 'the server to be up again');
	}
	$node->safe_psql('postgres', "SELECT deltaflow.pause('events$round'); SELECT deltaflow.resume('events$round')") if $how eq 'pause';
	return $how;
}

sub digest_of
{
	my ($relation) = @_;

	return $node->safe_psql('postgres', "SELECT count(*) || ' ' || coalesce(md5(string_agg(s::text, E'\\n' ORDER BY s::text COLLATE \"C\")), '') FROM $relation s");
}

# The late rows of r.quarters by the log, and what was declared.
sub check_late
{
	my ($round) = @_;
	my $difference = $node->safe_psql('postgres', qq{
		WITH implied AS (
			SELECT h.part, h.off, date_bin('15 minutes', h.at, '2000-01-01') AS w
			FROM r$round.hasty h JOIN deltaflow.epochs e ON e.name = 'hasty$round' AND e.partition = h.part AND h.off >= e.first_offset AND h.off < e.next_offset
			WHERE h.k IS DISTINCT FROM 3 AND date_bin('15 minutes', h.at, '2000-01-01') + interval '15 minutes' + interval '1 minute' <= e.watermark),
		declared AS (SELECT partition, record_offset, window_start FROM deltaflow.late_rows WHERE name = 'r$round.quarters')
		(SELECT 'implied', * FROM (TABLE implied EXCEPT ALL TABLE declared) i LIMIT 3) UNION ALL (SELECT 'declared', * FROM (TABLE declared EXCEPT ALL TABLE implied) d LIMIT 3)});

	is($difference, '', "round $round: the late rows are those the log implies");
	my $wrong = $node->safe_psql('postgres', qq{
		WITH batch AS (
			SELECT date_bin('15 minutes', at, '2000-01-01') AS w, k, count(*) AS n FROM r$round.hasty h
			WHERE k IS DISTINCT FROM 3 AND NOT EXISTS (SELECT FROM deltaflow.late_rows l WHERE l.name = 'r$round.quarters' AND l.partition = h.part AND l.record_offset = h.off) GROUP BY 1, 2)
		(TABLE batch EXCEPT ALL TABLE r$round.quarters) UNION ALL (TABLE r$round.quarters EXCEPT ALL TABLE batch) LIMIT 3});
	is($wrong, '', "round $round: and the view is the definition over the others");
	return $node->safe_psql('postgres', "SELECT count(*) FROM deltaflow.late_rows WHERE name = 'r$round.quarters'");
}

my (%first, @late, @epochs);
for my $round (1 .. $ROUNDS)
{
	my $max = (1, 7, 40, 250, 1000, 100000)[ rand 6 ];

	$max = 10 + int rand 100 if $max < 10 && $round > 3;
	$node->safe_psql('postgres', "ALTER SYSTEM SET deltaflow.epoch_max_records = $max");
	$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
	set_up($round);
	my $how = disturb($round);

	for my $name ("r$round.events", (map { ("r$round.${_}_of_events", "r$round.${_}_of_strict_topic") } sort keys %views), "r$round.quarters")
	{
		wait_for(sub { my $done; $node->psql('postgres', $name =~ /\.events$/ ? "SELECT deltaflow.wait('events$round', '20 s')" : "SELECT deltaflow.wait('$name', '20 s')", stdout => \$done) == 0 && $done eq 't' }, "$name to be complete")
		  or BAIL_OUT($node->safe_psql('postgres', 'SELECT name, state, last_error, hint FROM deltaflow.status'));
	}
	is($node->safe_psql('postgres', "SELECT count(*) FROM r$round.events"), $RECORDS, "round $round (epochs of $max, $how): every record is stored once");
	for my $name (sort keys %views)
	{
		for my $source ('events', 'strict_topic')
		{
			my $digest = digest_of("r$round.${name}_of_${source}_state");

			$first{$name} //= $digest;
			is($digest, $first{$name}, "round $round: state of $name over $source");
		}
	}
	push @late, check_late($round);
	push @epochs, $node->safe_psql('postgres', "SELECT count(DISTINCT epoch) FROM deltaflow.epochs WHERE name = 'events$round'");
	$node->safe_psql('postgres', "SET client_min_messages = error; DROP SCHEMA r$round CASCADE");
}
note("epochs: @epochs; late rows: @late");
cmp_ok(scalar(do { my %n; $n{$_}++ for @epochs; keys %n }), '>', 5, 'the cuts differed');
cmp_ok((sort { $b <=> $a } @late)[0], '>', 0, 'some rows were late');

$node->stop;
done_testing();
