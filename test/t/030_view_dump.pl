# A dump of a database with continuous views restores: definitions, state and
# catalog agree, dropped columns of the source do not matter, and the views' objects
# hold together again once the pipeline is resumed.
use strict;
use warnings;

use Deltaflow::Util;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = deltaflow_node('main', 'deltaflow.enabled = off');

$node->safe_psql('postgres', $_) for 'DROP EXTENSION deltaflow', 'CREATE DATABASE original';
create_views('original');

# An ingest, a view from text and one from a view, each with a group in its state.
sub create_views
{
	my ($dbname) = @_;

	$node->safe_psql($dbname, <<'SQL');
CREATE EXTENSION deltaflow;
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE toll_topic (gone int, booth int, plate text, toll numeric, at timestamptz, lane float8)
	SERVER broker OPTIONS (topic 'toll', format 'json', event_time 'at', watermark_delay '30 s');
CREATE TABLE toll (LIKE toll_topic);
ALTER TABLE toll DROP COLUMN gone;
INSERT INTO deltaflow.pipeline (name, topic, target, start_at, system_identifier, database_id)
	VALUES ('toll', 'toll_topic', 'toll', '{"0": 0}', 0, 0);
CREATE SCHEMA reports;
SELECT deltaflow.create_view('reports.booths', $$
	SELECT booth, date_trunc('hour', at) AS hour, count(*), avg(toll), corr(lane, lane), max(plate)
	FROM toll WHERE toll > 0 GROUP BY 1, 2 $$, lateness => '1 min');
CREATE VIEW lanes_def AS SELECT booth, sum(lane) AS total FROM toll GROUP BY 1;
SELECT deltaflow.create_view('lanes', from_view => 'lanes_def');
INSERT INTO reports.booths_state VALUES ('2024-01-01', 1, 2, 2, 10, NULL, 'x');
INSERT INTO lanes_state VALUES (1, '{3}');
SQL
}

for my $format ([ 'custom', '-Fc' ], [ 'directory', '-Fd', '-j2' ])
{
	my ($name, @options) = @$format;
	my $dump = $node->basedir . "/$name.dump";

	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS copy');
	$node->safe_psql('postgres', 'CREATE DATABASE copy');
	$node->command_ok([ 'pg_dump', @options, '-f', $dump, 'original' ], "$name: pg_dump");
	$node->command_ok([ 'pg_restore', '-j2', '--exit-on-error', '-d', 'copy', $dump ], "$name: pg_restore");

	is($node->safe_psql('copy', 'SELECT booth, count, round(avg, 1), max FROM reports.booths'), '1|2|5.0|x', "$name: the live view answers");
	is($node->safe_psql('copy', 'SELECT * FROM lanes'), '1|3', "$name: so does the one made from a view");
	like($node->safe_psql('copy', "SELECT deltaflow.explain('reports.booths')"), qr/strategy fold/, "$name: the restored definition is the same");
	like($node->safe_psql('copy', "SELECT deltaflow.explain('lanes')"), qr/strategy fold/, "$name: the other one too");

	my ($status, $out, $err) = $node->psql('copy', 'DROP VIEW lanes_def');

	like($err, qr/cannot drop a part of continuous view "lanes"/, "$name: parts are guarded before the resume");
	$node->safe_psql('copy', "SELECT deltaflow.resume('toll')");
	($status, $out, $err) = $node->psql('copy', 'DROP TABLE reports.booths_state');
	like($err, qr/because view reports\.booths requires it/, "$name: and held by dependencies after it");

	$node->safe_psql('copy', 'ALTER VIEW reports.booths RENAME TO cabins');
	is($node->safe_psql('copy', "SELECT count(*) FROM pg_class WHERE relname ~ '^cabins_(batch|state|state_key)\$'"), 3, "$name: renames are followed");
	$node->safe_psql('copy', 'DROP VIEW reports.cabins, lanes');
	is($node->safe_psql('copy', "SELECT string_agg(relname, ' ') FROM pg_class WHERE relname ~ '^(booths|cabins|lanes)'"), 'lanes_def', "$name: DROP VIEW removes what is its own");
	is($node->safe_psql('copy', 'SELECT count(*) FROM deltaflow.view'), 0, "$name: with the catalog rows");
}

$node->stop;
done_testing();
