# Workers, brokers and servers go away; every record is there once when they are back.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use Test::More;
use Time::HiRes qw(time);

my $mock = Deltaflow::Mock->start(topics => { events => 3 });
my $node = deltaflow_node('crash', 'deltaflow.naptime = 1s', 'deltaflow.epoch_max_records = 50', 'fsync = off');
my $produced = 0;

sub produce
{
	my ($n) = @_;

	$mock->produce('events', map { sprintf '{"id": %d, "kind": "k%d"}', ++$produced, $produced % 7 } 1 .. $n);
}

# Every event once in the table and in the view.
sub check_events
{
	my ($when) = @_;

	wait_for_rows($node, q{SELECT deltaflow.wait('events', '1 s') AND deltaflow.wait('kinds', '1 s')}, 't', "caught up $when");
	is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM events'), "$produced|$produced", "every event once $when");
	is($node->safe_psql('postgres', 'SELECT sum(n) FROM kinds'), $produced, "and once in the view $when");
	check_books($node, $when);
}

create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE events_topic (id int NOT NULL, kind text) SERVER broker OPTIONS (topic 'events', format 'json');
	CREATE TABLE events (LIKE events_topic);
	SELECT deltaflow.create_ingest('events_topic', target => 'events');
	SELECT deltaflow.create_view('kinds', 'SELECT kind, count(*) AS n FROM events GROUP BY 1');
});
produce(500);
check_events('at first');

# SIGKILL takes the whole server through crash recovery
for my $round (1 .. 3)
{
	produce(300);
	wait_for(sub { kill_worker($node, 'events', 'KILL') }, 'a worker to kill');
	produce(300);
	check_events("after kill $round");
}

# SIGTERM does not
my $postmaster_start = 'SELECT pg_postmaster_start_time()';
my $started = $node->safe_psql('postgres', $postmaster_start);
for my $round (1 .. 3)
{
	produce(300);
	kill_worker($node, 'events', 'TERM');
}
check_events('after terminations');
is($node->safe_psql('postgres', $postmaster_start), $started, 'by the same server');

# the server itself
produce(500);
$node->stop('immediate');
$node->start;
produce(500);
check_events('after an immediate stop');
my $time = time;
$node->stop('fast');
cmp_ok(time - $time, '<', 5, 'a fast stop does not wait for workers');
$node->start;
produce(100);
check_events('after a restart');

# the broker
$mock->command('down 0');
$time = time;
$node->restart;
cmp_ok(time - $time, '<', 10, 'a stop does not wait for a broker that is away');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'deltaflow launcher'}), 1, 'the server runs without the broker');
$mock->command('up 0');
produce(100);
check_events('after the broker came back');

# A pipeline that takes the server down again and again is paused.  Without the
# broker no epoch commits, so every start counts.
$mock->command('down 0');
my $kills = 0;
wait_for(
	sub {
		my $state = '';
		$kills++ if kill_worker($node, 'events', 'KILL');
		return $node->psql('postgres', q{SELECT state FROM deltaflow.status WHERE name = 'events'}, stdout => \$state) == 0 && $state eq 'paused';
	},
	'the pipeline to be paused',
	120);
cmp_ok($kills, '>=', 5, 'its worker was killed again and again');
wait_for_rows($node, q{SELECT state, last_error LIKE 'its worker died 5 times in a row%' FROM deltaflow.status WHERE name = 'events'}, 'paused|t', 'five crashes in a row are enough');
$mock->command('up 0');
$node->safe_psql('postgres', q{SELECT deltaflow.resume('events')});
produce(100);
check_events('after it was resumed');

# Something that only a user can repair: retried, then paused with the reason.
$node->safe_psql('postgres', q{
	CREATE ROLE keeper;
	GRANT SELECT ON events_topic TO keeper;
	ALTER TABLE events OWNER TO keeper;
	SELECT deltaflow.pause('events');
	REVOKE SELECT ON events_topic FROM keeper;
	SELECT deltaflow.resume('events')});
wait_for_rows($node, q{SELECT state, last_error LIKE 'its worker died 5 times in a row: permission denied%', hint LIKE '%resume%' FROM deltaflow.status WHERE name = 'events'},
	'paused|t|t', 'a pipeline whose workers die is paused with the reason', 90);
$node->safe_psql('postgres', q{GRANT SELECT ON events_topic TO keeper; SELECT deltaflow.resume('events')});
produce(100);
check_events('after the cause was removed');

$node->stop;
done_testing();
