# How long state lives: old windows go and stay gone, a row for one of them is late;
# a view that keeps too much fails alone, with the next step.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { old => 2, many => 1, caps => 1 });
my $node = deltaflow_node('main', 'deltaflow.enabled = off', "timezone = 'UTC'");

create_broker($node, $mock->address);
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR PUBLIC SERVER broker');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }
sub refusal { my ($out, $error); $node->psql('postgres', $_[0], stdout => \$out, stderr => \$error); return $error; }

sub make
{
	my ($name) = @_;

	sql("CREATE FOREIGN TABLE ${name}_topic (id int, k int, ts timestamptz) SERVER broker OPTIONS (topic '$name', format 'json', event_time 'ts')",
		"CREATE TABLE $name (LIKE ${name}_topic)", "SELECT deltaflow.create_ingest('${name}_topic', '$name')");
}

sub at { my ($s) = @_; return sprintf '2024-01-01 %02d:%02d:%02d+00', $s / 3600, $s / 60 % 60, $s % 60; }

my $id = 0;

sub line { my ($partition, $k, $s) = @_; return sprintf "%d\tk\t{\"id\": %d, \"k\": %d, \"ts\": \"%s\"}", $partition, ++$id, $k, at($s); }
sub run_once { my ($name, @settings) = @_; return (split /\n/, sql(@settings, "SELECT deltaflow.run_once('$name')"))[-1]; }
sub late { my ($view) = @_; return sql("SELECT count(*) FROM deltaflow.late_rows WHERE name = '$view'"); }
sub status { my ($view) = @_; return sql("SELECT concat_ws('|', state, last_error, hint) FROM deltaflow.status WHERE name = '$view'"); }

### windows leave after retain
make('old');
my %views = (
	tumbled => "date_bin('1 min', ts, '2000-01-01') AS window_start FROM old",
	hopped => "window_start, window_end FROM old, LATERAL deltaflow.hop(ts, '2 min', '10 min')",
	cumulated => "window_end FROM old, LATERAL deltaflow.cumulate(ts, '5 min', '20 min')");
my %rows;

for my $view (sort keys %views)
{
	my $groups = $view eq 'hopped' ? '1, 2, 3' : '1, 2';
	my $query = $views{$view} =~ s/ FROM/, count(*) AS n, sum(id) AS s FROM/r;

	sql("SELECT deltaflow.create_view('$view', \$\$SELECT k, $query GROUP BY $groups\$\$, lateness => '2 min', options => '{\"retain\": \"1 hour\"}')");
}
for my $hour (0 .. 3)
{
	$mock->produce_lines('old', map { my $s = $_; map { line($_, $s % 3, $hour * 3600 + $s * 20) } 0, 1 } 0 .. 179);
	run_once('old', 'SET deltaflow.epoch_max_records = ' . (20 + int rand 100));
	for my $view (sort keys %views)
	{
		is(sql("SELECT count(*) FROM deltaflow.reconcile('$view')"), 0, "$view: live equals batch after hour $hour");
		is(sql("SELECT count(*) FROM (SELECT * FROM $view EXCEPT SELECT * FROM ${view}_batch) l"), 0, "$view: no window is shown that has lost rows");
		$rows{$view}[$hour] = sql("SELECT count(*) FROM ${view}_state");
	}
}
for my $view (sort keys %views)
{
	cmp_ok($rows{$view}[3], '<', 1.4 * $rows{$view}[1], "$view: state does not grow with history (@{$rows{$view}})");
	my $horizon = sql("SELECT horizon FROM deltaflow.view WHERE live = '$view'::regclass");

	like($horizon, qr/^2024-01-01 02:/, "$view: the horizon follows the watermark");
	is(sql("SELECT count(*) > 0 FROM ${view}_batch"), 't', "$view: the rows themselves are still there");
	like(refusal("SELECT deltaflow.recompute('$view', '2024-01-01 00:00+00')"),
		qr/ERROR:  windows that begin before 2024-01-01 02:.* are not kept any more\nDETAIL.*\nHINT:  Give that time as "since"/, "$view: recompute below the horizon is refused");
	is(sql("SELECT deltaflow.recompute('$view')", "SELECT deltaflow.recompute('$view', '$horizon')", "SELECT count(*) FROM deltaflow.reconcile('$view')", "SELECT count(*) FROM deltaflow.reconcile('$view', NULL, '2024-01-01 01:00+00')"),
		"0\n0\n0\n0", "$view: above it recompute and reconcile work");
	is(sql("SELECT count(*) FROM ${view}_state"), $rows{$view}[3], "$view: and bring nothing back");
}

### a row for a window that was removed is late: it begins no new group
$mock->produce_lines('old', line(0, 1, 60), line(1, 2, 61));
run_once('old');
for my $view (sort keys %views)
{
	my $windows = $view eq 'hopped' ? 5 : $view eq 'cumulated' ? 4 : 1;

	is(late($view), 2 * $windows, "$view: rows after purge are late for each of their windows");
	cmp_ok(sql("SELECT count(*) FROM ${view}_state"), '<=', $rows{$view}[3], "$view: and no group is made");
	is(sql("SELECT count(*) FROM ${view}_state WHERE window_start < '2024-01-01 01:00+00'"), 0, "$view: of the past") if $view eq 'tumbled';
	is(sql("SELECT count(*) FROM deltaflow.reconcile('$view')"), 0, "$view: live equals batch from the horizon on");
}
$node->restart;
$mock->produce_lines('old', line(0, 1, 4 * 3600), line(1, 2, 4 * 3600), line(0, 1, 120));
run_once('old');
run_once('old');
for my $view (sort keys %views)
{
	cmp_ok(sql("SELECT count(*) FROM ${view}_state"), '<', 1.4 * $rows{$view}[3], "$view: a restart changes nothing");
	is(sql("SELECT count(*) FROM deltaflow.reconcile('$view')"), 0, "$view: live equals batch after it");
}

### explain says what closes when
$mock->produce_lines('old', line(0, 1, 5 * 3600 + 90), line(1, 1, 5 * 3600 + 95));
run_once('old');
my %next = (tumbled => '04:59:00\+00, 2024-01-01 05:00:00\+00', hopped => '04:50:00\+00, 2024-01-01 05:00:00\+00', cumulated => '04:40:00\+00, 2024-01-01 05:00:00\+00');

for my $view (sort keys %views)
{
	my $explained = sql("SELECT string_agg(e, chr(10)) FROM deltaflow.explain('$view') e");

	like($explained, qr/Watermark: 2024-01-01 05:01:30\+00, 00:00:00 behind the greatest event time; held by partition 0\n/, "$view: explain has the watermark and who holds it");
	like($explained, qr/Next to close: \[2024-01-01 $next{$view}\), at watermark 2024-01-01 05:02:00\+00\n/, "$view: and what closes next");
	like($explained, qr/Retained: 01:00:00 after the end of the window; windows that begin before 2024-01-01 0[2-4]:.* are removed\n/, "$view: and what is gone");
}
is(sql("SELECT deltaflow.run_once('old', true)", "SELECT count(*) > 0 FROM tumbled_state", "SELECT count(*) FROM deltaflow.reconcile('tumbled')"), "0\nt\n0", 'the end of an input removes nothing');
like(sql("SELECT string_agg(e, chr(10)) FROM deltaflow.explain('tumbled') e"), qr/Watermark: infinity: the input is over/, 'explain says so');

### in slices
make('many');
sql(q{SELECT deltaflow.create_view('sliced', 'SELECT date_bin(''1 min'', ts, ''2000-01-01'') AS m, id, count(*) AS n FROM many GROUP BY 1, 2', options => '{"retain": "10 min"}')});
is(sql("SELECT lateness FROM deltaflow.view WHERE live = 'sliced'::regclass"), '00:10:00', 'without lateness rows are late when their window is gone');
$mock->produce_lines('many', map { line(0, 0, $_ % 60) } 1 .. 12000);
run_once('many');
is(sql('SELECT count(*) FROM sliced_state'), 12000, 'twelve thousand groups of one window');
$mock->produce_lines('many', line(0, 0, 7200));
is(run_once('many'), 1, 'then time goes on');
my $epoch = sql("SELECT epoch FROM deltaflow.pipeline WHERE name = 'many'");
$mock->produce_lines('many', line(0, 0, 7201));
run_once('many');
is(sql('SELECT count(*) FROM sliced_state'), 2, 'all of them are removed');
cmp_ok(sql("SELECT epoch FROM deltaflow.pipeline WHERE name = 'many'") - $epoch, '>=', 3, 'in epochs of bounded work');
like(refusal(q{SELECT deltaflow.set_view_options('sliced', '{"retain": "1 min"}')}), qr/ERROR:  option "retain" is shorter than lateness/, 'windows stay while rows for them count');
is(sql(q{SELECT deltaflow.set_view_options('sliced', '{"retain": "1 hour"}')}, "SELECT options FROM deltaflow.view WHERE live = 'sliced'::regclass"), qq(\n{"retain": "1 hour"}), 'retention can be changed');

### caps
make('caps');
sql(q{SELECT deltaflow.create_view('sane', 'SELECT k, count(*) AS n FROM caps GROUP BY 1')});
my %caps = (
	windows => [ q(date_bin('1 s', ts, '2000-01-01')), '"max_open_windows": 50', qr/^failed\|view has more than 50 open windows.*\|.*deltaflow\.watermarks.*set_view_options\('public\.windows', '\{"max_open_windows": 500\}'\)/ ],
	groups => [ 'id', '"max_groups": 60', qr/^failed\|view has more than 60 groups.*\|.*set_view_options\('public\.groups', '\{"max_groups": 600\}'\)/ ],
	bytes => [ 'id', '"max_state_bytes": "32 kB"', qr/^failed\|state of the view takes more than 32768 bytes\|.*set_view_options\('public\.bytes', '\{"max_state_bytes": 327680\}'\)/ ]);

for my $cap (sort keys %caps)
{
	sql("SELECT deltaflow.create_view('$cap', \$\$SELECT $caps{$cap}[0] AS g, count(*) AS n FROM caps GROUP BY 1\$\$, options => '{$caps{$cap}[1]}'" . ($cap eq 'windows' ? ", lateness => '0'" : '') . ')');
}
$mock->produce_lines('caps', map { line(0, $_ % 3, $_) } 1 .. 40);
run_once('caps');
is(status($_) =~ s/\|.*//r, 'stopped', "$_: under the cap it goes on") for sort keys %caps;
$node->restart;
$mock->produce_lines('caps', map { line(0, $_ % 3, 100 + $_) } 1 .. 600);
run_once('caps');
for my $cap (sort keys %caps)
{
	like(status($cap), $caps{$cap}[2], "$cap: over it the view fails, with the next step");
	is(sql("SELECT coalesce(sum(n), 0) FROM $cap"), 40, "$cap: and stands at the last good epoch");
}
is(sql('SELECT sum(n) FROM sane'), 640, 'other views go on');
for my $cap (sort keys %caps)
{
	my ($step) = status($cap) =~ /To allow more: (.*)\.$/;

	sql($step =~ s/, deltaflow/; SELECT deltaflow/r =~ s/327680/3276800/r =~ s/": 500\b/": 5000/r =~ s/": 600\b/": 6000/r);
}
run_once('caps');
is(sql("SELECT sum(n), (SELECT count(*) FROM deltaflow.reconcile('$_')) FROM $_"), '640|0', "$_: allowed more it catches up") for sort keys %caps;
like(refusal(q{SELECT deltaflow.create_view('odd', 'SELECT count(*) FROM caps', options => '{"max_rows": 1}')}), qr/unrecognized option "max_rows"\nHINT:  Options of a continuous view are retain,/, 'options are an allow-list');
like(refusal(q{SELECT deltaflow.create_view('odd', 'SELECT count(*) FROM caps', options => '{"max_groups": 0}')}), qr/invalid value for option "max_groups"\nHINT:  It is a number greater than 0/, 'with values');
like(refusal(q{SELECT deltaflow.create_view('odd', 'SELECT count(*) FROM caps', options => '{"retain": "1 day"}')}), qr/lateness needs a window/, 'retention needs windows');
like(refusal(q{SELECT deltaflow.set_view_options('sane', '{"retain": "1 day"}')}), qr/option "retain" needs a view with lateness/, 'and lateness');
like(refusal(q{SELECT deltaflow.create_view('odd', 'SELECT date_bin(''1 min'', ts, ''2000-01-01''), count(*) FROM caps GROUP BY 1', lateness => '1 month')}), qr/lateness must not have months/, 'lateness has a fixed length');

check_books($node, 'at the end');
$node->stop;
done_testing();
