# SELECT from topics of Apache Kafka: what a mock broker cannot show. Transactions,
# compaction, timestamps that do not rise, records removed, topics made again.
use strict;
use warnings;

use Deltaflow::Kafka;
use Deltaflow::Util;
use Test::More;
use Time::HiRes qw(time);

my $kafka = Deltaflow::Kafka->get;
my $node = deltaflow_node('scan');

create_broker($node, $kafka->address);

sub query { return $node->safe_psql('postgres', $_[0]); }

sub complaint
{
	my ($query) = @_;
	my $error;

	$node->psql('postgres', $query, stderr => \$error);
	return $error;
}

# A foreign table in raw format over a new topic.
sub table
{
	my ($name, $topic, @options) = @_;
	my $options = join ', ', "topic '$topic'", "format 'raw'", @options;

	query(qq{CREATE FOREIGN TABLE $name (v text, k text OPTIONS (metadata 'key'), part int OPTIONS (metadata 'partition'),
		off bigint OPTIONS (metadata 'offset'), arrived timestamptz OPTIONS (metadata 'timestamp')) SERVER broker OPTIONS ($options)});
	return $name;
}

sub explained
{
	my ($query, $name) = @_;
	my $plan = query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $query");

	return $plan =~ /^\s*\Q$name\E: (.*)$/m ? $1 : undef;
}

my $topic;

# transactions: what was aborted is not there, and markers at the end are not waited for
$topic = $kafka->create_topic('committed', 2);
$kafka->produce_lines($topic, { 'transactional.id' => "tx$$" },
	'\begin', (map { "0\tk\tgood$_" } 1 .. 5), '\commit',
	'\begin', (map { "0\tk\tbad$_" } 1 .. 5), '\flush', '\abort',
	'\begin', "0\tk\tgood6", '\commit',
	'\begin', "1\tk\tbad6", '\flush', '\abort');
table('committed', $topic);
my $started = time;
is(query('SELECT count(*), string_agg(v, $$,$$ ORDER BY off), max(off) FROM committed'), '6|good1,good2,good3,good4,good5,good6|12', 'aborted records are not read');
is(query('SELECT count(*) FROM committed WHERE part = 1'), 0, 'a partition of nothing but an aborted transaction ends');
is(query('SELECT v FROM committed WHERE off > 5 AND part = 0'), 'good6', 'a seek into an aborted transaction');
is(query('SELECT count(*) FROM committed WHERE off = 13'), 0, 'a seek to a marker');
cmp_ok(time - $started, '<', 20, 'nothing is waited for that will not come');

# compaction leaves gaps, the last offsets too
$topic = $kafka->create_topic('compacted', 1, 'cleanup.policy=compact', 'segment.ms=100', 'min.cleanable.dirty.ratio=0.01',
	'delete.retention.ms=100', 'max.compaction.lag.ms=200');
table('compacted', $topic);
$kafka->produce_to($topic, 0, 'key' . $_ % 5, "v$_") for 1 .. 40;
wait_for_rows($node, "SELECT count(*) < 40, count(DISTINCT k), max(off) FROM compacted", 't|5|39', 'gaps of compaction are read over', 90);

# timestamps: the first record as young, whatever comes behind it
$topic = $kafka->create_topic('times', 1);
table('times', $topic);
$kafka->produce_to($topic, 0, undef, "early$_") for 1 .. 3;
my $between = query('SELECT max(arrived) FROM times');
$kafka->produce_to($topic, 0, undef, "late$_") for 1 .. 3;
is(query("SELECT string_agg(v, ',' ORDER BY off) FROM times WHERE arrived > '$between'"), 'late1,late2,late3', 'a lower bound in time');
is(explained("SELECT * FROM times WHERE arrived > '$between'", 'Offsets'), '0: 2 to 5', 'seeks');
is(query("SELECT count(*) FROM times WHERE arrived >= '$between' AND arrived < '$between'::timestamptz + interval '1 ms'"), 1, 'an upper bound filters');
is(explained(q{SELECT * FROM times WHERE arrived > now() + interval '1 day'}, 'Partitions'), '0 of 1', 'no record as young: nothing is read');
is(query("SELECT count(*) FROM times WHERE arrived = '$between'"), 1, 'equality');
query("ALTER FOREIGN TABLE times OPTIONS (ADD start '$between')");
is(query('SELECT count(*) FROM times'), 4, 'option start as a time');

# records removed
$topic = $kafka->create_topic('trimmed', 2);
table('trimmed', $topic);
$kafka->produce_lines($topic, map { $_ % 2 . "\t\\N\tv$_" } 1 .. 200);
$kafka->trim($topic, 0, 60);
is(query('SELECT part, count(*), min(off) FROM trimmed GROUP BY 1 ORDER BY 1'), "0|40|60\n1|100|0", 'what retention removed is not read');
is(query('SELECT count(*) FROM trimmed WHERE part = 0 AND off < 70'), 10, 'nor asked for');
$kafka->trim($topic, 1, 100);
is(query('SELECT count(*) FROM trimmed'), 40, 'an emptied partition is empty');

# made again, with fewer records
$kafka->recreate_topic($topic, 1);
$kafka->produce_to($topic, 0, undef, 'new');
is(query('SELECT v, off FROM trimmed'), 'new|0', 'a topic that was made again');
$kafka->delete_topic($topic);
wait_for(sub { complaint("SET deltaflow.broker_timeout = '5 s'; SELECT * FROM trimmed") =~ /ERROR:.*topic/ }, 'a deleted topic is an error');

# records removed while they are read: an error, not a hole
$topic = $kafka->create_topic('vanishing', 1);
table('vanishing', $topic, q{"fetch.message.max.bytes" '20000'}, q{"queued.max.messages.kbytes" '1024'});
$kafka->produce_lines($topic, map { "0\t\\N\t" . ('x' x 1000) } 1 .. 20000);
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$session->query('BEGIN; DECLARE c CURSOR FOR SELECT off FROM vanishing');
	$session->query('FETCH 1 FROM c');
	$kafka->trim($topic, 0, 20000);
	$session->query('MOVE ALL FROM c');
	my $error = $session->{stderr};
	like($error, qr/ERROR:  records of topic "\S+" are gone/, 'records removed while they are read are an error');
	like($error, qr/HINT:/, 'with a hint');
	$session->{stderr} = '';
	$session->quit;
}

# produced rows, many
$topic = $kafka->create_topic('many', 4);
query(qq{CREATE FOREIGN TABLE many (id bigint, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic '$topic')});
query('INSERT INTO many (id) SELECT generate_series(1, 200000)');
is(query('SELECT count(*), count(DISTINCT id), sum(id) FROM many'), '200000|200000|20000100000', 'two hundred thousand rows there and back');
is(query('SELECT count(*) FROM many a WHERE off = (SELECT max(off) FROM many WHERE part = 3) AND part = 3'), 1, 'the last of a partition');

$node->stop;
done_testing();
