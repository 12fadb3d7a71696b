# Without shared_preload_libraries: definitions are accepted, what is missing is
# said, run_once() does the work.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { events => 2 });
my $node = PostgreSQL::Test::Cluster->new('bare');
my ($out, $error);

$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION deltaflow');
create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE events_topic (id int NOT NULL) SERVER broker OPTIONS (topic 'events', format 'json');
	CREATE TABLE events (id int);
	SELECT deltaflow.create_ingest('events_topic', target => 'events');
	SELECT deltaflow.create_view('counts', 'SELECT id % 10 AS k, count(*) AS n FROM events GROUP BY 1')});
is($node->safe_psql('postgres', 'SELECT deltaflow.workers_possible()'), 'f', 'no workers here');
like($node->safe_psql('postgres', q{SELECT hint FROM deltaflow.status WHERE name = 'events' AND state = 'stopped'}),
	qr/shared_preload_libraries.*run_once\('events'\)/, 'the status says what is missing');

$mock->produce('events', map { qq({"id": $_}) } 1 .. 100);
$node->psql('postgres', q{SELECT deltaflow.wait('events')}, stderr => \$error);
like($error, qr/no worker processes "events".*HINT.*run_once/s, 'wait refuses what would never happen');
is($node->safe_psql('postgres', q{SELECT deltaflow.run_once('events')}), 100, 'run_once takes what is there');
is($node->safe_psql('postgres', q{SELECT deltaflow.wait('events')}), 't', 'then there is nothing to wait for');
is($node->safe_psql('postgres', 'SELECT count(*) FROM events'), 100, 'rows are stored');
is($node->safe_psql('postgres', 'SELECT sum(n) FROM counts'), 100, 'views are kept');
is($node->safe_psql('postgres', q{SELECT deltaflow.run_once('events')}), 0, 'a second call finds nothing');
$mock->produce('events', map { qq({"id": $_}) } 101 .. 150);
is($node->safe_psql('postgres', q{BEGIN; SELECT deltaflow.run_once('events'); ROLLBACK}), 50, 'what is rolled back');
is($node->safe_psql('postgres', q{SELECT deltaflow.run_once('counts')}), 50, 'is taken again');
is($node->safe_psql('postgres', 'SELECT sum(n) FROM counts'), 150, 'once');
$node->psql('postgres', q{SELECT deltaflow.resume('events')}, stderr => \$error);
like($error, qr/NOTICE.*no worker will process "events"/, 'resume says that nothing will move by itself');
$node->psql('postgres', 'SELECT deltaflow.workers_possible(); SET deltaflow.nonsense = 1', stderr => \$error);
like($error, qr/invalid configuration parameter name/, 'misspelt settings are refused');
check_books($node, 'in the foreground');

$node->stop;
done_testing();
