#
# 022_broker_faults.pl
#		An ingest through everything a broker does to its clients: errors of every
#		kind in answers, leaders that move, brokers that go away and come back, a log
#		whose start moved.  Whatever happens, each record is stored once, and what
#		cannot go on by itself says so.
#
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use Test::More;

my $mock = Deltaflow::Mock->start(brokers => 2, topics => { faults => 3, big => 1 });
my $node = deltaflow_node('faults');
my $produced = 0;

create_broker($node, $mock->address);
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR PUBLIC SERVER broker');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }

# An ingest of a topic into a table of its name.
sub ingest
{
	my ($name) = @_;

	sql("CREATE FOREIGN TABLE ${name}_topic (id int, pad text) SERVER broker OPTIONS (topic '$name', format 'json')",
		"CREATE TABLE $name (LIKE ${name}_topic)",
		"SELECT deltaflow.create_ingest('${name}_topic', '$name', options => '{\"discovery_interval\": 1}')");
}

# More records, which must all arrive, once.
sub goes_on
{
	my ($what) = @_;

	$mock->produce('faults', map { my $id = ++$produced; qq({"id": $id}) } 1 .. 200);
	wait_for_rows($node, 'SELECT count(*), count(DISTINCT id), max(id) FROM faults', "$produced|$produced|$produced", "goes on: $what");
}

ingest('faults');
goes_on('without a fault');

### errors in answers
for my $fault (
	[ fetch => 'NOT_LEADER_FOR_PARTITION', 5 ],
	[ fetch => 'LEADER_NOT_AVAILABLE', 3 ],
	[ fetch => 'KAFKA_STORAGE_ERROR', 3 ],
	[ fetch => 'REQUEST_TIMED_OUT', 3 ],
	[ fetch => 'UNKNOWN_TOPIC_OR_PART', 3 ],
	[ fetch => 'TOPIC_AUTHORIZATION_FAILED', 3 ],
	[ fetch => 'OFFSET_OUT_OF_RANGE', 1 ],
	[ fetch => 'UNKNOWN', 2 ],
	[ metadata => 'LEADER_NOT_AVAILABLE', 5 ],
	[ metadata => 'BROKER_NOT_AVAILABLE', 3 ],
	[ list_offsets => 'NOT_LEADER_FOR_PARTITION', 3 ],
	[ find_coordinator => 'GROUP_AUTHORIZATION_FAILED', 3 ])
{
	my ($api, $error, $count) = @$fault;

	$mock->command("error $api $error $count");
	goes_on("$count times $error in answers to $api");
	$mock->command("clear $api");
}

### leaders move
for my $broker (1, 2, 1)
{
	$mock->command("leader faults $_ $broker") for 0 .. 2;
	goes_on("leadership of all partitions is with broker $broker");
}

### brokers go away: the worker stays, says why, and goes on
my $worker = worker_pid($node, 'faults');

$mock->command('down 2');
goes_on('the broker that leads nothing is down');
$mock->command('up 2');
$mock->command('down 0');
wait_for_rows($node, q{SELECT state, last_error ~ 'Connect|broker|down' FROM deltaflow.status WHERE name = 'faults'}, 'running|t',
	'brokers away: still running, with the reason');
$mock->command('up 0');
goes_on('the brokers are back');
is(worker_pid($node, 'faults'), $worker, 'with the same worker');
wait_for_rows($node, q{SELECT last_error IS NULL FROM deltaflow.status WHERE name = 'faults'}, 't', 'and the reason is gone');

# a server that starts while no broker can be reached
$mock->command('down 0');
$node->restart;
wait_for_rows($node, q{SELECT count(*) FROM deltaflow.status WHERE name = 'faults'}, '1', 'the server starts without a broker');
$mock->command('up 0');
goes_on('the server was started before the broker');

### slow answers
$mock->command("rtt $_ 250") for 1, 2;
goes_on('answers take a quarter of a second');
$mock->command("rtt $_ 0") for 1, 2;
check_books($node, 'after all faults');

### the log's start moved past a paused ingest (the mock keeps 5 MB)
my $pad = 'x' x 10_000;

ingest('big');
$mock->produce('big', map { qq({"id": $_, "pad": "$pad"}) } 1 .. 10);
wait_for_rows($node, 'SELECT count(*) FROM big', '10', 'the first of the big records');
sql("SELECT deltaflow.pause('big')");
$mock->produce('big', map { qq({"id": $_, "pad": "$pad"}) } 11 .. 1000);
my %ends = $mock->ends('big');
my ($low, $high) = @{ $ends{0} };

cmp_ok($low, '>', 10, "the log starts at offset $low now");
sql("SELECT deltaflow.resume('big')");
wait_for_rows($node, "SELECT state FROM deltaflow.status WHERE name = 'big'", 'paused', 'lost offsets pause the ingest');
like(sql("SELECT last_error FROM deltaflow.status WHERE name = 'big'"), qr/offsets \[10, $low\) of partition 0 were removed/, 'with the range');
like(sql("SELECT hint FROM deltaflow.status WHERE name = 'big'"), qr/set_position\('big', 0, $low\)/, 'and the next step');
is(sql('SELECT count(*) FROM big'), 10, 'nothing is skipped in silence');
sql("SELECT deltaflow.set_position('big', 0, $low), deltaflow.resume('big')");
wait_for_rows($node, 'SELECT count(*), max(id) FROM big', (10 + $high - $low) . '|1000', 'the next step goes on behind the gap');
check_books($node, 'after lost offsets');

$node->stop;
done_testing();
