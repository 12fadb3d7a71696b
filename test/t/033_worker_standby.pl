# Nothing runs on a standby; promoted, it goes on where the primary was.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { events => 2 });
my $primary = PostgreSQL::Test::Cluster->new('primary');
my $produced = 0;

sub produce
{
	my ($n) = @_;

	$mock->produce('events', map { sprintf '{"id": %d}', ++$produced } 1 .. $n);
}

sub check_events
{
	my ($node, $when) = @_;

	wait_for_rows($node, q{SELECT deltaflow.wait('events', '1 s')}, 't', "caught up $when");
	is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM events'), "$produced|$produced", "every event once $when");
	is($node->safe_psql('postgres', 'SELECT sum(n) FROM counts'), $produced, "and once in the view $when");
}

$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'deltaflow'\nmax_worker_processes = 16\n");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION deltaflow');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

create_broker($primary, $mock->address);
$primary->safe_psql('postgres', q{
	CREATE FOREIGN TABLE events_topic (id int NOT NULL) SERVER broker OPTIONS (topic 'events', format 'json');
	CREATE TABLE events (id int);
	SELECT deltaflow.create_ingest('events_topic', target => 'events');
	SELECT deltaflow.create_view('counts', 'SELECT id % 10 AS k, count(*) AS n FROM events GROUP BY 1')});
produce(200);
check_events($primary, 'on the primary');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', 'SELECT sum(n) FROM counts'), 200, 'the standby answers');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'deltaflow%'}), 0, 'no process of ours on the standby');
is($standby->safe_psql('postgres', q{SELECT DISTINCT state, hint LIKE 'This server is a standby%' FROM deltaflow.status}), 'stopped|t', 'and its status says why');

$primary->stop('immediate');
produce(200);
$standby->promote;
check_events($standby, 'after promotion');
check_books($standby, 'after promotion');

$standby->stop;
done_testing();
