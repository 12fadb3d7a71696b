# Exactly once over Apache Kafka: records with unique ids flow into a table and two
# views while workers are killed, the server is crashed and the broker restarted.
# At the end every id is there once, in the table and in both views, and the books
# balance.
#
# DELTAFLOW_RECORDS (200,000) and DELTAFLOW_KILLS (12) make it longer; records are sent
# in slices all through it, in transactions of which some abort.
use strict;
use warnings;

use Deltaflow::Kafka;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $kafka = Deltaflow::Kafka->get;
my $records = $ENV{DELTAFLOW_RECORDS} // 200_000;
my $kills = $ENV{DELTAFLOW_KILLS} // 12;
my $restarts = $kafka->can_restart ? int($kills / 6) : 0;
my $partitions = 4;
my $topic = $kafka->create_topic('once', $partitions);

seed_random();

my $node = deltaflow_node('main', 'deltaflow.epoch_interval = 20ms', 'deltaflow.epoch_max_records = 2000');

create_broker($node, $kafka->address);
$node->safe_psql('postgres', qq{
	CREATE FOREIGN TABLE once_topic (id bigint NOT NULL, kind int NOT NULL, at timestamptz NOT NULL, part int OPTIONS (metadata 'partition'))
		SERVER broker OPTIONS (topic '$topic', format 'json', event_time 'at', watermark_delay '10 min');
	CREATE TABLE once (id bigint NOT NULL, kind int NOT NULL, at timestamptz NOT NULL, part int NOT NULL);
	SELECT deltaflow.create_ingest('once_topic', target => 'once');
	SELECT deltaflow.create_view('once_by_kind', \$\$
		SELECT kind, date_bin('1 min', at, '2000-01-01') AS window_start, count(*) AS n, sum(id) AS ids, min(id) AS lowest, max(id) AS highest
		FROM once GROUP BY 1, 2 \$\$, lateness => '1 hour');
	SELECT deltaflow.create_view('once_from_topic', \$\$
		SELECT kind, count(*) AS n, sum(id) AS ids FROM once_topic GROUP BY 1 \$\$);
});

# One slice of records; every fifth also has a transaction that aborts, with ids that must never be seen.
sub send_slice
{
	my ($first, $count, $slice) = @_;
	my @lines = ('\begin');

	for my $id ($first .. $first + $count - 1)
	{
		push @lines, sprintf qq(%d\t\\N\t{"id": %d, "kind": %d, "at": "2024-05-01T10:%02d:%02dZ"}), $id % $partitions, $id, $id % 37, $id / 3000 % 60, $id / 50 % 60;
	}
	push @lines, '\commit';
	if ($slice % 5 == 0)
	{
		push @lines, '\begin', (map { sprintf qq(%d\t\\N\t{"id": %d, "kind": 99, "at": "2024-05-01T10:00:00Z"}), $_ % $partitions, 1_000_000_000 + $_ } 1 .. 50), '\abort';
	}
	$kafka->produce_lines($topic, { 'transactional.id' => "$topic-tx" }, @lines);
}

# What can go wrong, by chance: a worker ends, or dies with all sessions, or the server does.
sub strike
{
	my ($n) = @_;
	my $what = int(rand(4));

	if ($what == 0 || $what == 1)
	{
		wait_for(sub { kill_worker($node, undef, 'TERM') }, 'a worker to end');
		return 'worker ended';
	}
	if ($what == 2)
	{
		wait_for(sub { kill_worker($node, undef, 'KILL') }, 'a worker to kill');
		return 'worker killed';
	}
	$node->stop('immediate');
	$node->start;
	return 'server crashed';
}

my $slices = $kills * 2;
my $per_slice = int($records / $slices);
my $sent = 0;
my %struck;

for my $slice (1 .. $slices)
{
	send_slice($sent + 1, $per_slice, $slice);
	$sent += $per_slice;
	if ($slice % 2 == 0)
	{
		$struck{ strike($slice) }++;
	}
	if ($restarts > 0 && $slice % int($slices / $restarts) == 1)
	{
		$kafka->restart;
		$struck{'broker restarted'}++;
	}
}
note(join ', ', map { "$_: $struck{$_}" } sort keys %struck);

# A killed worker takes the server through recovery: the first questions may fail.
wait_for_rows($node, 'SELECT count(*) FROM once', $sent, "all $sent records arrive", 300);
wait_for_rows($node, q{SELECT deltaflow.wait('once_by_kind', '1 minute') AND deltaflow.wait('once_from_topic', '1 minute')}, 't', 'and the views have them', 180);

my $sum = $sent * ($sent + 1) / 2;

is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id), min(id), max(id), sum(id) FROM once'),
	"$sent|$sent|1|$sent|$sum", 'every id is in the table once');
is($node->safe_psql('postgres', 'SELECT sum(n), sum(ids), min(lowest), max(highest) FROM once_by_kind'), "$sent|$sum|1|$sent", 'and in the view over the table');
is($node->safe_psql('postgres', 'SELECT sum(n), sum(ids) FROM once_from_topic'), "$sent|$sum", 'and in the view over the topic');
is($node->safe_psql('postgres', 'SELECT count(*) FROM deltaflow.dead_letters'), '0', 'nothing is a dead letter');
is($node->safe_psql('postgres', q{SELECT sum(consumed), sum(applied) FROM deltaflow.accounting WHERE name = 'once'}), "$sent|$sent", 'the books of the ingest say so');
check_books($node, 'after all that');
check_same($node, 'once_by_kind', 'after all that');
check_same($node, 'once_from_topic', 'after all that');

# No epoch overlaps another: their ranges of offsets follow each other in each partition.
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (SELECT first_offset, lag(next_offset) OVER (PARTITION BY name, topic, partition ORDER BY epoch) AS before FROM deltaflow.epochs) e
	WHERE first_offset < before}), '0', 'no epoch reads what another one read');

$node->stop;
done_testing();
