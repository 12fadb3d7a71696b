#
# 900_exactly_once.pl
#		Every id once, in the table and in the views, through random kills.
#
# Records with unique ids are produced to Apache Kafka, in transactions of which
# some are aborted, while the pipeline's worker, the whole server and the broker are
# killed at random.  In the end every committed id must be in the table exactly
# once, no aborted one, the views must count each once, the books must balance and
# reconcile must have no rows.
#
# DELTAFLOW_EO_RECORDS (default 60,000), DELTAFLOW_EO_KILLS (default 6) and
# DELTAFLOW_EO_BROKER_KILLS (default 1) make it longer; DELTAFLOW_SEED repeats a run.
#
use strict;
use warnings;
use Deltaflow::Kafka;
use Deltaflow::Util;
use File::Temp qw(tempdir);
use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $records = $ENV{DELTAFLOW_EO_RECORDS} // 60_000;
my $kills = $ENV{DELTAFLOW_EO_KILLS} // 6;
my $broker_kills = $ENV{DELTAFLOW_EO_BROKER_KILLS} // 1;
my $per_transaction = 500;

my $kafka = Deltaflow::Kafka->get;
$broker_kills = 0 if !$kafka->can_restart;
seed_random();
my $topic = $kafka->create_topic('exactly_once', 4);
my $dir = tempdir(CLEANUP => 1);

# The file kafkactl reads for one round: transactions, one in eight aborted.
sub write_round
{
	my ($file, $first, $last) = @_;
	open(my $out, '>', $file) or die "$file: $!";
	for (my $id = $first; $id <= $last;)
	{
		my $aborted = rand() < 0.125;
		my $begin = $id;
		print $out "\\begin\n";
		for (my $i = 0; $i < $per_transaction && $id <= $last; $i++, $id++)
		{
			my $written = $aborted ? -$id : $id;
			my $seconds = $id % 600;
			printf $out qq(-1\t%d\t{"id": %d, "grp": %d, "amount": %d.%02d, "at": "2026-01-01 00:%02d:%02d+00"}\n),
			  $id, $written, $id % 97, $id % 1000, $id % 100, int($seconds / 60), $seconds % 60;
		}
		print $out $aborted ? "\\abort\n" : "\\commit\n";
		$id = $begin if $aborted;		# these ids come again, to stay
	}
	close($out);
}

# Produces one round in the background.
sub produce_round
{
	my ($round, $first, $last) = @_;
	my $file = "$dir/round$round";
	write_round($file, $first, $last);
	return start([ Deltaflow::Broker::tool('kafkactl'), $kafka->address, 'produce', $topic, "transactional.id=eo$$" ],
		'<', $file, '>', "$dir/out$round", '2>', "$dir/err$round");
}

my $node = deltaflow_node('exactly_once');
create_broker($node, $kafka->address);
$node->safe_psql('postgres', qq{
	CREATE FOREIGN TABLE source (id bigint NOT NULL, grp int, amount numeric, at timestamptz)
		SERVER broker OPTIONS (topic '$topic', format 'json', event_time 'at', watermark_delay '1 hour');
	CREATE TABLE stored (LIKE source);
	SELECT deltaflow.create_ingest('source', target => 'stored');
	SELECT deltaflow.create_view('per_minute', \$\$
		SELECT grp, date_bin('1 min', at, '2000-01-01') AS start, count(*) AS n, sum(amount) AS total, max(id) AS last
		FROM stored GROUP BY 1, 2 \$\$);
	SELECT deltaflow.create_view('direct', \$\$
		SELECT grp, count(*) AS n, sum(id) AS ids, avg(amount) AS mean FROM source GROUP BY 1 \$\$);
});

# The server comes back, however it was stopped.
sub await_server
{
	wait_for(sub { $node->psql('postgres', 'SELECT 1', stdout => \my $out) == 0 }, 'the server to be back');
}

sub kill_postmaster
{
	$node->kill9;
	# until the last of the old processes is gone a new one refuses to start, and
	# the old lock file makes the node believe that it did
	wait_for(sub { $node->{_pid} = undef; $node->start(fail_ok => 1) }, 'the postmaster to start again');
}

my @ways = (
	[ 'worker, kill -9' => sub { kill_worker($node, 'stored', 'KILL') } ],
	[ 'worker, terminated' => sub { kill_worker($node, 'stored', 'TERM') } ],
	[ 'topic worker, kill -9' => sub { kill_worker($node, 'source', 'KILL') } ],
	[ 'postmaster, kill -9' => \&kill_postmaster ],
	[ 'immediate restart' => sub { $node->stop('immediate'); $node->start } ]);

my $committed_sql = 'SELECT count(*) FROM stored';
my $rounds = $kills + $broker_kills;
my %killed;
for my $round (1 .. $rounds)
{
	my $first = int($records * ($round - 1) / $rounds) + 1;
	my $last = int($records * $round / $rounds);
	my $producer = produce_round($round, $first, $last);
	my $before = $node->safe_psql('postgres', $committed_sql);
	my $threshold = $before + int(rand(0.7 * ($last - $first)));

	# strike while it consumes: as soon as it is past a random count
	wait_for(sub { my $out = ''; $node->psql('postgres', $committed_sql, stdout => \$out) == 0 && $out >= $threshold },
		"round $round to get going");
	if ($broker_kills > 0 && $round % int($rounds / $broker_kills) == 0)
	{
		$producer->finish;			# what it was told is committed stays so
		$kafka->kill;
		$kafka->start;
		$killed{'broker, kill -9'}++;
	}
	else
	{
		my $way = $ways[ rand @ways ];
		$way->[1]->();
		$killed{ $way->[0] }++;
	}
	await_server();
	ok($producer->finish, "round $round was produced") or diag(slurp_file("$dir/err$round"));
}
note("$killed{$_} x $_") for sort keys %killed;

wait_for_rows($node, q{SELECT deltaflow.wait('stored') AND deltaflow.wait('per_minute') AND deltaflow.wait('direct')}, 't',
	'everything is consumed', 120);
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id), min(id), max(id) FROM stored'),
	"$records|$records|1|$records", 'every committed id is stored once, no aborted one');
is($node->safe_psql('postgres', 'SELECT sum(n), max(last) FROM per_minute'), "$records|$records", 'the view over the table counts each once');
is($node->safe_psql('postgres', 'SELECT sum(n), sum(ids) FROM direct'),
	"$records|" . ($records * ($records + 1) / 2), 'the view over the topic counts each once');
check_same($node, 'per_minute', 'after the kills');
check_same($node, 'direct', 'after the kills');
check_books($node, 'after the kills');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT name, topic, partition, next_offset - lag(next_offset, 1, 0::bigint)
	OVER (PARTITION BY name, topic, partition ORDER BY epoch) AS step FROM deltaflow.epochs) e WHERE step < 0}),
	'0', 'positions never went back');
$node->stop;
done_testing();
