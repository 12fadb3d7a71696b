#
# 020_log_semantics.pl
#		What a log really looks like: aborted and open transactions, control records
#		at its end, compacted gaps, a start that retention moved, truncation,
#		partitions added, a topic made anew.  Nothing may be lost, doubled or skipped
#		in silence, and no lag may remain when all is read.
#
use strict;
use warnings;

use Deltaflow::Kafka;
use Deltaflow::Util;
use IPC::Run qw(start timeout);
use PostgreSQL::Test::Utils;
use Test::More;

my $kafka = Deltaflow::Kafka->get;
my $node = deltaflow_node('semantics');

create_broker($node, $kafka->address);
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR PUBLIC SERVER broker');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }

# A topic, its foreign table NAME_topic, its table NAME and an ingest that fills it.
sub ingest
{
	my ($name, $topic, %options) = @_;

	sql(qq{
		CREATE FOREIGN TABLE ${name}_topic (id int, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
			SERVER broker OPTIONS (topic '$topic', format 'json');
		CREATE TABLE $name (LIKE ${name}_topic)});
	sql("SELECT deltaflow.create_ingest('${name}_topic', '$name', options => '{\"discovery_interval\": 1}')") if !$options{later};
}

# Everything the broker holds now is in the table, and no lag is left.
sub caught_up
{
	my ($name, $expected, $what) = @_;

	is(sql("SELECT deltaflow.wait('$name', '60 s')"), 't', "$what: caught up");
	is(sql("SELECT count(*), count(DISTINCT id), coalesce(sum(id), 0) FROM $name"), $expected, "$what: each record once");
	wait_for_rows($node, "SELECT lag_records FROM deltaflow.status WHERE name = '$name'", '0', "$what: no lag");
	check_books($node, "after $what");
}

# The ingest pauses with a reason and a next step.
sub paused
{
	my ($name, $reason, $what) = @_;

	wait_for_rows($node, "SELECT state FROM deltaflow.status WHERE name = '$name'", 'paused', "$what: paused");
	like(sql("SELECT last_error FROM deltaflow.status WHERE name = '$name'"), $reason, "$what: the reason");
	isnt(sql("SELECT hint FROM deltaflow.status WHERE name = '$name'"), '', "$what: the next step");
}

sub records { my ($first, $last, $partition) = @_; return map { ($partition // 0) . qq(\tk$_\t{"id": $_}) } $first .. $last; }

### transactions: aborted ones are not seen, and the markers behind the last record are no lag
my $topic = $kafka->create_topic('transactions', 1);

$kafka->produce_lines($topic, { 'transactional.id' => "t$$" },
	'\begin', records(1, 10), '\commit', '\begin', records(11, 20), '\abort', '\begin', records(21, 30), '\commit',
	'\begin', records(31, 40), '\abort');
my (undef, $end) = @{ { $kafka->ends($topic) }->{0} };

is($end, 44, 'the log holds the aborted records and four markers');
ingest('txn', $topic);
is(sql('SELECT count(*), sum(id) FROM txn_topic'), '20|310', 'a scan sees committed records only, and ends behind the last marker');
caught_up('txn', '20|20|310', 'aborted transactions');
is(sql("SELECT next_offset FROM deltaflow.accounting WHERE name = 'txn'"), $end, 'the position is behind the last marker');

# an open transaction hides what comes behind it, until it ends
my ($in, $out, $err) = ('', '', '');
my $open = start([ Deltaflow::Broker::tool('kafkactl'), $kafka->address, 'produce', $topic, "transactional.id=open$$" ],
	'<', \$in, '>', \$out, '2>', \$err, timeout(120));

$in .= join("\n", '\begin', records(41, 50), '\flush', '');
$open->pump_nb;
wait_for(sub { $open->pump_nb; $kafka->control([ 'ends', $topic ], ''); my %ends = log_ends($topic); $ends{0} > $end }, 'the open transaction to be written');
$kafka->produce_lines($topic, records(51, 55));
is(sql("SELECT deltaflow.wait('txn', '60 s')"), 't', 'an open transaction does not make wait() hang');
is(sql('SELECT count(*) FROM txn'), 20, 'nothing of it is seen, nor what is behind it');
is(sql('SELECT count(*) FROM txn_topic'), 20, 'nor by a scan');
$in .= "\\commit\n";
$open->finish or diag($err);
caught_up('txn', '35|35|' . (310 + 455 + 265), 'the transaction committed');

# the end of the log whatever is open, from the broker's side
sub log_ends
{
	my ($name) = @_;
	my %ends;

	for my $line (split /\n/, `kcat -b @{[ $kafka->address ]} -Q -t $name:0:-1 -X isolation.level=read_uncommitted 2>&1`)
	{
		$ends{$1} = $2 if $line =~ /\[(\d+)\] offset (\d+)/;
	}
	return %ends;
}

### compaction: gaps in the offsets are normal
$topic = $kafka->create_topic('compacted', 1, 'cleanup.policy=compact', 'min.cleanable.dirty.ratio=0.01',
	'min.compaction.lag.ms=0', 'max.compaction.lag.ms=1', 'delete.retention.ms=0', 'segment.ms=100');
$kafka->produce_lines($topic, map { my $id = $_; "0\tkey" . ($id % 10) . qq(\t{"id": $id, "pad": ") . 'x' x 100 . '"}' } 1 .. 1000);
ingest('compacted', $topic, later => 1);
my $seen = 1000;

wait_for(sub {
		$kafka->produce_lines($topic, qq(0\troll\t{"id": 0}));
		$seen = sql('SELECT count(*) FROM compacted_topic WHERE id > 0');
		$seen < 500 }, 'the log to be compacted', 120);
cmp_ok($seen, '<', 500, "compaction leaves gaps: $seen of 1000 records");
is(sql('SELECT count(DISTINCT id % 10) FROM compacted_topic WHERE id > 0'), 10, 'a scan reads over them to every key');
my $stable = sql('SELECT count(*), max(id) FROM compacted_topic WHERE id > 990');

sql("SELECT deltaflow.create_ingest('compacted_topic', 'compacted')");
is(sql("SELECT deltaflow.wait('compacted', '60 s')"), 't', 'an ingest gets to the end of a compacted log');
is(sql('SELECT count(*), max(id) FROM compacted WHERE id > 990'), $stable, 'with its last records');
wait_for_rows($node, "SELECT lag_records FROM deltaflow.status WHERE name = 'compacted'", '0', 'and no lag');
check_books($node, 'after compaction');

### retention passes a paused ingest: it says what is lost, and goes on only when told to
$topic = $kafka->create_topic('trimmed', 2);
$kafka->produce_lines($topic, records(1, 100, 0), records(101, 200, 1));
ingest('trimmed', $topic);
caught_up('trimmed', '200|200|20100', 'before retention');
sql("SELECT deltaflow.pause('trimmed')");
$kafka->produce_lines($topic, records(201, 300, 0));
$kafka->trim($topic, 0, 150);
sql("SELECT deltaflow.resume('trimmed')");
paused('trimmed', qr/offsets \[100, 150\) of partition 0 were removed/, 'lost offsets');
is(sql('SELECT count(*) FROM trimmed'), 200, 'nothing was skipped in silence');
sql("SELECT deltaflow.set_position('trimmed', 0, 150), deltaflow.resume('trimmed')");
caught_up('trimmed', '250|250|' . (20100 + 50 * 551 / 2), 'the gap accepted');

### partitions added later are read from their beginning
$topic = $kafka->create_topic('grown', 1);
$kafka->produce_lines($topic, records(1, 10));
ingest('grown', $topic);
caught_up('grown', '10|10|55', 'one partition');
$kafka->grow_topic($topic, 3);
wait_for(sub { eval { $kafka->produce_lines($topic, records(11, 20, 1), records(21, 30, 2)); 1 } }, 'the new partitions to take records');
wait_for_rows($node, 'SELECT count(*), count(DISTINCT part) FROM grown', '30|3', 'new partitions are found and read from their beginning');
caught_up('grown', '30|30|465', 'new partitions');

### a topic made anew, shorter than what was read
$topic = $kafka->create_topic('anew', 2);
$kafka->produce_lines($topic, records(1, 50, 0), records(51, 60, 1));
ingest('anew', $topic);
caught_up('anew', '60|60|1830', 'the first topic of that name');
$kafka->recreate_topic($topic, 2);
wait_for(sub { eval { $kafka->produce_lines($topic, records(1, 5, 0)); 1 } }, 'the new topic to take records');
paused('anew', qr/truncated, or the topic was created anew/, 'a topic made anew');
is(sql('SELECT count(*) FROM anew'), 60, 'nothing is read again by itself');
sql("SELECT deltaflow.set_position('anew', 0, 0), deltaflow.set_position('anew', 1, 0), deltaflow.resume('anew')");
wait_for_rows($node, 'SELECT count(*) FROM anew', '65', 'it is when asked for');

### ... and with fewer partitions
$kafka->recreate_topic($topic, 1);
paused('anew', qr/has no partition 1|truncated, or the topic was created anew/, 'a topic made anew with fewer partitions');

$node->stop;
done_testing();
