# How long sessions live: old ones go, a slice per epoch, while those that still go on
# stay whole; a row for a session that is gone is late; a key that opens too many
# sessions fails its view, and no other.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { visit => 2, many => 1, crowd => 1 });
my $node = deltaflow_node('main', 'deltaflow.enabled = off', "timezone = 'UTC'");

seed_random();
create_broker($node, $mock->address);
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR PUBLIC SERVER broker');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }
sub refusal { my ($out, $error); $node->psql('postgres', $_[0], stdout => \$out, stderr => \$error); return $error; }

sub make
{
	my ($name, $type) = @_;

	sql("CREATE FOREIGN TABLE ${name}_topic (id int, k int, ts $type) SERVER broker OPTIONS (topic '$name', format 'json', event_time 'ts')",
		"CREATE TABLE $name (LIKE ${name}_topic)", "SELECT deltaflow.create_ingest('${name}_topic', '$name')");
}

# A definition over sessions of k; what it shows of the session.
sub sessions
{
	my ($source, $shown, $gap) = @_;

	return "SELECT k, $shown, count(*) AS n, sum(id) AS total FROM (SELECT k, id, deltaflow.session(ts, '$gap') OVER (PARTITION BY k ORDER BY ts) AS s FROM $source) x GROUP BY k, s";
}

my $id = 0;

sub at { my ($s) = @_; return sprintf '2024-01-%02d %02d:%02d:%02d+00', 1 + $s / 86400, $s / 3600 % 24, $s / 60 % 60, $s % 60; }
sub line { my ($partition, $k, $s) = @_; return sprintf "%d\tk\t{\"id\": %d, \"k\": %d, \"ts\": \"%s\"}", $partition, ++$id, $k, at($s); }
sub run_once { my ($name, @settings) = @_; return (split /\n/, sql(@settings, "SELECT deltaflow.run_once('$name')"))[-1]; }
sub late { my ($view) = @_; return sql("SELECT count(*) FROM deltaflow.late_rows WHERE name = '$view'"); }
sub status { my ($view) = @_; return sql("SELECT concat_ws('|', state, last_error, hint) FROM deltaflow.status WHERE name = '$view'"); }
sub differences { my ($view, $range) = @_; return sql("SELECT count(*) FROM deltaflow.reconcile('$view'" . ($range // '') . ')'); }

### sessions leave after retain; keys 0 to 2 come in bursts of five minutes, key 9 never pauses, each burst has a visitor of its own
make('visit', 'timestamptz');
my %shown = (whole => 's', bounds => 'lower(s) AS since, upper(s) AS upto', starts => 'lower(s) AS since');
my %rows;

sub burst { my ($s) = @_; return map { my $t = $s + 20 * $_; (line($_ % 2, $_ % 3, $t), line($_ % 2, 9, $t), line(1 - $_ % 2, 100 + int($s / 600), $t)) } 0 .. 14; }
# key 9 has a row in every pause, too
sub pause { my ($s) = @_; return map { my $t = $s + 300 + 60 * $_; (line(0, 9, $t), line(1, 9, $t)) } 0 .. 4; }
sub hour { my ($hour) = @_; return map { (burst($_ * 600 + $hour * 3600), pause($_ * 600 + $hour * 3600)) } 0 .. 5; }

for my $view (sort keys %shown)
{
	sql("SELECT deltaflow.create_view('$view', \$\$" . sessions('visit', $shown{$view}, '2 min') . "\$\$, lateness => '1 min', options => '{\"retain\": \"1 hour\"}')");
}
sql("SELECT deltaflow.create_view('topical', \$\$" . sessions('visit_topic', $shown{bounds}, '2 min') . "\$\$, lateness => '1 min', options => '{\"retain\": \"1 hour\"}')");
my @views = (sort(keys %shown), 'topical');

sub take { my (@settings) = @_; run_once($_, @settings) for 'visit', 'visit_topic'; }

for my $hour (0 .. 5)
{
	$mock->produce_lines('visit', hour($hour));
	take('SET deltaflow.epoch_max_records = ' . (20 + int rand 40), "SET deltaflow.group_cache = '" . ($hour % 2 ? '64kB' : '64MB') . "'");
	if ($hour == 3)
	{
		$node->stop('immediate');
		$node->start;
	}
	for my $view (@views)
	{
		is(differences($view), 0, "$view: live equals batch after hour $hour");
		$rows{$view}[$hour] = sql("SELECT count(*) FROM ${view}_state");
	}
}
for my $view (@views)
{
	my $horizon = sql("SELECT horizon FROM deltaflow.view WHERE live = '$view'::regclass");

	cmp_ok($rows{$view}[5], '<', 1.5 * $rows{$view}[2], "$view: state does not grow with history (@{$rows{$view}})");
	like($horizon, qr/^2024-01-01 0[34]:/, "$view: the horizon follows the watermark");
	is(sql("SELECT n FROM $view WHERE k = 9"), sql('SELECT count(*) FROM visit WHERE k = 9'), "$view: a session that goes on since before the horizon is whole");
	is(sql("SELECT count(*) FROM ${view}_state WHERE session_last < '$horizon'::timestamptz - interval '2 min'"), 0, "$view: what ended before it is gone");
	is(sql("SELECT count(*) FROM ${view}_batch WHERE k = 0"), 36, "$view: the rows themselves are still there");
	like(refusal("SELECT deltaflow.recompute('$view', '2024-01-01 01:00+00')"),
		qr/ERROR:  sessions that end before 2024-01-01 0[34]:.* are not kept any more\nDETAIL.*\nHINT:  Give that time as "since"/, "$view: recompute below the horizon is refused");
	is(sql("SELECT deltaflow.recompute('$view')", "SELECT deltaflow.recompute('$view', '$horizon')", "SELECT count(*) FROM ${view}_state"), "0\n0\n$rows{$view}[5]", "$view: above it recompute brings nothing back");
	is(sql("SELECT count(*) FROM deltaflow.reconcile('$view', NULL, '2024-01-01 03:00+00')"), 0, "$view: a range of sessions of the past has no differences");
	like(sql("SELECT string_agg(e, chr(10)) FROM deltaflow.explain('$view') e"), qr/Retained: 01:00:00 after the end of the session; sessions that end by 2024-01-01 0[34]:\S+ are removed/, "$view: explain says what is gone");
}

### rows for sessions that are gone are late, by themselves or between two of them; at the edge of lateness one still counts
my $watermark = sql("SELECT watermark FROM deltaflow.status WHERE name = 'bounds'");

$mock->produce_lines('visit', line(0, 0, 100), line(1, 1, 420), line(0, 100, 200));
take();
for my $view (@views)
{
	is(late($view), 3, "$view: rows for sessions of the past are late");
	cmp_ok(sql("SELECT count(*) FROM ${view}_state"), '<=', $rows{$view}[5], "$view: and begin none");
	is(sql("SELECT count(*) FROM deltaflow.reconcile('$view') WHERE reason NOT LIKE '%late rows%'"), 0, "$view: live equals batch but for them");
}
sql("DELETE FROM visit WHERE id > $id - 3");

my $edge = sql("SELECT ceil(extract(epoch FROM '$watermark'::timestamptz - '2024-01-01'::timestamptz))::int") - 179;

$mock->produce_lines('visit', line(0, 55, $edge), line(1, 9, $edge + 60), line(0, 9, $edge + 60));
take();
is(sql("SELECT n FROM $_ WHERE k = 55"), '1', "$_: the oldest row that is not late begins a session") for @views;

$node->restart;
$mock->produce_lines('visit', hour(6));
take();
for my $view (grep { $_ ne 'topical' } @views)
{
	is(differences($view), 0, "$view: live equals batch after a restart");
	cmp_ok(sql("SELECT count(*) FROM ${view}_state"), '<', 2.5 * $rows{$view}[5], "$view: which keeps little more");
}
is(sql("SELECT count(*) FROM deltaflow.reconcile('topical') WHERE reason NOT LIKE '%late rows%'"), 0, 'topical: live equals batch after a restart');
is(sql("SELECT deltaflow.run_once('visit', true)", 'SELECT count(*) > 0 FROM bounds_state', "SELECT count(*) FROM deltaflow.reconcile('bounds')"), "0\nt\n0", 'the end of an input removes nothing');

### in slices, past those that go on; retained from later on
make('many', 'timestamp');
sql("SELECT deltaflow.create_view('sliced', \$\$" . sessions('many', 's', '10 min') . "\$\$, lateness => '1 min')");
$mock->produce_lines('many', (map { line(0, $_, 0) } 1 .. 12000), (map { line(0, 40000 + $_, 10) } 1 .. 5));
run_once('many');
$mock->produce_lines('many', (map { line(0, $_, 500) } 1 .. 6000), (map { line(0, 20000 + $_, 550) } 1 .. 100), (map { line(0, 40000 + $_, 580) } 1 .. 5), (map { line(0, 40000 + $_, 700) } 1 .. 5));
run_once('many');
is(sql('SELECT count(*) FROM sliced_state'), 12105, 'twelve thousand sessions that begin at one time');
is(sql(q{SELECT deltaflow.set_view_options('sliced', '{"retain": "15 min"}')}, "SELECT count(*) FROM pg_index WHERE indrelid = 'sliced_state'::regclass"), "\n2", 'retention can be added; an index by time comes with it');
is(sql(q{SELECT deltaflow.set_view_options('sliced', '{"retain": "16 min"}')}, "SELECT count(*) FROM pg_index WHERE indrelid = 'sliced_state'::regclass"), "\n2", 'once');
# their first row is 1600 s ago: 26 minutes = gap + retain; of those that went on it is 1100 s
$mock->produce_lines('many', line(0, 30000, 1600), line(0, 30000, 1601));
run_once('many');
my $epoch = sql("SELECT epoch FROM deltaflow.pipeline WHERE name = 'many'");

$mock->produce_lines('many', line(0, 30000, 1602));
run_once('many');
is(sql('SELECT count(*), count(*) FILTER (WHERE session_last < session_first + interval \'1 s\') FROM sliced_state'), '6106|100', 'those that ended are removed, from among those that went on');
cmp_ok(sql("SELECT epoch FROM deltaflow.pipeline WHERE name = 'many'") - $epoch, '>=', 2, 'in epochs of bounded work');
is(differences('sliced'), 0, 'live equals batch over what is kept');
# all in one run, an epoch each: what a walk has passed is looked at again when it may be old enough
$mock->produce_lines('many', map { line(0, 30000, $_) } 1700 .. 1704, 2070 .. 2074);
run_once('many', 'SET deltaflow.epoch_max_records = 1');
is(sql('SELECT count(*) FROM sliced_state'), 106, 'later the walk begins anew for them');
is(differences('sliced'), 0, 'live equals batch after that');
$mock->produce_lines('many', line(0, 30000, $_)) && run_once('many') for 2200, 2201;
is(sql('SELECT count(*) FROM sliced_state'), 6, 'and takes the rest');
sql('DROP INDEX sliced_state_session_first_idx');
$mock->produce_lines('many', line(0, 30000, 9000));
run_once('many');
like(status('sliced'), qr/^failed\|state table "sliced_state" has no index on the time of its sessions.*set_view_options/, 'without the index the view fails with the next step');
sql(q{SELECT deltaflow.set_view_options('sliced', '{"retain": "15 min"}')}, q{SELECT deltaflow.resume('sliced')});
run_once('many');
is(status('sliced') =~ s/\|.*//sr, 'stopped', 'and works again');
is(differences('sliced'), 0, 'live equals batch');

### a key with too many open sessions
make('crowd', 'timestamptz');
my %crowds = (capped => 50, uncapped => 100000);

for my $view (sort keys %crowds)
{
	sql("SELECT deltaflow.create_view('$view', \$\$" . sessions('crowd', 's', '1 s') . "\$\$, lateness => '1 hour', options => '{\"max_open_windows\": $crowds{$view}}')");
}
$mock->produce_lines('crowd', map { line(0, $_ % 2, 5 * $_) } 1 .. 60);
run_once('crowd');
is(status($_) =~ s/\|.*//sr, 'stopped', "$_: under the cap it goes on") for sort keys %crowds;
# final sessions do not count
$mock->produce_lines('crowd', map { line(0, 1, 86400 + 5 * $_) } 1 .. 40);
run_once('crowd', 'SET deltaflow.epoch_max_records = 1');
is(status('capped') =~ s/\|.*//sr, 'stopped', 'capped: final sessions do not count');
$node->restart;
$mock->produce_lines('crowd', map { line(0, 1, 86400 + 5 * $_) } 41 .. 80);
run_once('crowd', 'SET deltaflow.epoch_max_records = 1');
like(status('capped'), qr/^failed\|view has more than 50 open sessions of one key.*\|.*deltaflow\.watermarks.*set_view_options\('public\.capped', '\{"max_open_windows": 500\}'\)/, 'capped: over it, those before a restart included, the view fails with the next step');
cmp_ok(sql('SELECT count(*) FROM capped WHERE lower(s) > \'2024-01-02\''), '<=', 75, 'capped: soon after the cap');
is(sql('SELECT sum(n) FROM uncapped'), 140, 'other views go on');
my ($step) = status('capped') =~ /To allow more: (.*)\.$/;

sql($step =~ s/, deltaflow/; SELECT deltaflow/r);
run_once('crowd');
is(sql('SELECT sum(n) FROM capped'), 140, 'capped: allowed more it catches up');
is(differences('capped'), 0, 'capped: live equals batch');

check_books($node, 'at the end');
$node->stop;
done_testing();
