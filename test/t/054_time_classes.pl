# Bugs about time that other engines have had, one section per class: each begins with
# what went wrong there.  Time is set, never waited for.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { created => 2, far => 1, level => 2, again => 2, purge => 1, empty => 2 });
my $node = deltaflow_node('main', 'deltaflow.enabled = off', "timezone = 'UTC'");

create_broker($node, $mock->address);
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR PUBLIC SERVER broker');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }

sub make
{
	my ($name, $options) = @_;

	sql("CREATE FOREIGN TABLE ${name}_topic (id int, ts timestamptz, local timestamp) SERVER broker OPTIONS (topic '$name', format 'json', event_time 'ts'" . ($options // '') . ')',
		"CREATE TABLE $name (LIKE ${name}_topic)", "SELECT deltaflow.create_ingest('${name}_topic', '$name')");
}

my $id = 0;

# partition, time, and the same without a zone
sub line { my ($partition, $ts, $local) = @_; return sprintf "%d\tk\t{\"id\": %d, \"ts\": \"%s\", \"local\": \"%s\"}", $partition, ++$id, $ts, $local // '2024-01-01'; }
sub at { my ($s) = @_; return sprintf '2024-01-01 %02d:%02d:%02d+00', $s / 3600, $s / 60 % 60, $s % 60; }
sub run_once { my ($name, @settings) = @_; return (split /\n/, sql(@settings, "SELECT deltaflow.run_once('$name')"))[-1]; }
sub watermark { my ($name) = @_; return sql("SELECT watermark FROM deltaflow.status WHERE name = '$name'"); }
sub late { my ($view) = @_; return sql("SELECT count(*) FROM deltaflow.late_rows WHERE name = '$view'"); }
sub same { my ($view, $what) = @_; return is(sql("SELECT count(*) FROM deltaflow.reconcile('$view')"), 0, $what); }

my $minute = q(date_bin('1 min', ts, '2000-01-01') AS start);

### class 18: a view made while rows come in had a gap, or rows twice (pg_ivm)
make('created');
for my $round (1 .. 6)
{
	$mock->produce_lines('created', map { line($_ % 2, at($round * 100 + $_)) } 1 .. 100);
	run_once('created', 'SET deltaflow.epoch_max_records = ' . (10 + int rand 60));
	sql("SELECT deltaflow.create_view('created_$round', 'SELECT $minute, count(*) AS n, sum(id) AS s FROM created GROUP BY 1')" =~ s/'1 min'/''1 min''/r =~ s/'2000-01-01'/''2000-01-01''/r);
}
$mock->produce_lines('created', map { line($_ % 2, at($_)) } 1 .. 100);
run_once('created');
is(sql("SELECT sum(n) FROM created_$_"), 700, "class 18: a view made in round $_ has every row once") for 1 .. 6;
same("created_$_", "class 18: and equals batch, round $_") for 1 .. 6;

### class 20: origins, times before the epoch, the ends of the calendar
make('far');
my %far = (
	far_origin => [ q(date_bin('7 min', ts, '2001-02-03 04:05:06+00')), 'ts' ],
	far_days => [ q(date_trunc('day', ts, 'Australia/Lord_Howe')), 'ts' ],
	far_weeks => [ q(date_trunc('week', local)), 'local' ],
	far_bin => [ q(date_bin('1 day', local, '2000-01-01 00:00:01')), 'local' ]);
my @times = ('1970-01-01 00:00:00+00', '1969-12-31 23:59:59.999999+00', '1970-01-01 00:00:00.000001+00', '2000-01-01 00:00:00+00', '1999-12-31 23:59:59.999999+00',
	'1900-02-28 12:00:00+00', '0001-01-01 00:00:00+00 BC', '4713-01-02 00:00:00+00 BC', '2024-10-05 15:30:00+00', '2024-04-06 15:00:00+00', '-infinity', 'infinity');

sql("SELECT deltaflow.create_view('$_', \$\$SELECT $far{$_}[0] AS start, count(*) AS n, min(id) AS first FROM far GROUP BY 1\$\$)") for sort keys %far;
$mock->produce_lines('far', map { line(0, $_, $_ =~ s/\+00//r) } @times, '294276-12-31 23:59:59.999999+00');
is(run_once('far', "SET deltaflow.test_clock = '2024-11-01'"), @times + 1, 'class 20: every time is taken');
is(sql("SELECT state FROM deltaflow.view WHERE live = '$_'::regclass"), 'running', "class 20: $_ goes on") for sort keys %far;
is(sql("SELECT sum(n) FROM $_"), @times + 1, "class 20: $_ has each of them") for sort keys %far;
same($_, "class 20: $_ equals batch") for sort keys %far;
is(sql("SELECT count(*), string_agg(start::text, ' ' ORDER BY start) FROM far_origin WHERE NOT isfinite(start)"), '2|-infinity infinity', 'class 20: infinite times are windows of their own');
is(watermark('far'), '2024-10-05 15:30:00+00', 'class 20: the farthest times do not move the watermark');
sql("SELECT deltaflow.create_view('far_late', \$\$SELECT date_bin('1 day', ts, '2000-01-01') AS start, count(*) AS n FROM far GROUP BY 1\$\$, lateness => '100000 days', emit => 'close')");
$mock->produce_lines('far', map { line(0, $_) } '294276-12-31 23:59:59+00', '294200-01-01 00:00:00+00', 'infinity', '2024-10-05 16:00:00+00');
run_once('far');
is(sql('SELECT count(*) > 0, max(start) FROM far_late'), 't|0001-01-01 00:00:00+00 BC', 'class 20: lateness beyond the calendar leaves windows open, without an error');

### class 23: a row that level one accepts must reach level two: late rows are dropped once, by one watermark (Spark)
make('level');
sql("CREATE VIEW level_one AS SELECT id, ts, id % 2 AS odd FROM level WHERE id % 5 <> 0",
	"SELECT deltaflow.create_view('level_min', \$\$SELECT $minute, odd, count(*) AS n FROM level_one GROUP BY 1, 2\$\$, lateness => '1 min')",
	"SELECT deltaflow.create_view('level_hour', \$\$SELECT date_bin('1 hour', ts, '2000-01-01') AS start, count(*) AS n FROM level_one GROUP BY 1\$\$, lateness => '1 min')",
	"SELECT deltaflow.create_view('level_all', 'SELECT odd, count(*) AS n FROM level_one GROUP BY 1')");
$mock->produce_lines('level', map { line($_ % 2, at(10 * $_)) } 1 .. 360);
run_once('level', 'SET deltaflow.epoch_max_records = 50');
$mock->produce_lines('level', map { my $s = $_; map { line($_, at(3600 + 1300 + $s * 10 - ($s % 3 ? 0 : 1200))) } 0, 1 } 1 .. 200);
run_once('level', 'SET deltaflow.epoch_max_records = 37');
cmp_ok(late('level_min'), '>', 10, 'class 23: some rows are late for their minute');
is(late('level_hour'), 0, 'class 23: none of them for its hour');
is(sql('SELECT sum(n) FROM level_hour') . '|' . sql('SELECT sum(n) FROM level_all'), sql('SELECT count(*) FROM level_one') . '|' . sql('SELECT count(*) FROM level_one'),
	'class 23: each view judges by its own windows: what one drops another counts');
is(sql('SELECT sum(n) FROM level_min') + late('level_min'), sql('SELECT count(*) FROM level_one'), 'class 23: counted or late, nothing else');
same($_, "class 23: $_ equals batch") for 'level_hour', 'level_all';

### class 24: after a restart the watermark fell back, or came from another partition (RisingWave)
make('again', ", watermark_delay '5 s'");
sql("SELECT deltaflow.create_view('again_min', \$\$SELECT $minute, count(*) AS n FROM again GROUP BY 1\$\$, lateness => '0')");
my @marks;

for my $round (1 .. 8)
{
	$mock->produce_lines('again', map { my $s = $_; map { line($_, at($round * 300 + $s - $_ * 40)) } 0, 1 } 1 .. 60) if $round % 3;
	run_once('again', 'SET deltaflow.epoch_max_records = ' . (5 + int rand 30));
	push @marks, watermark('again');
	$node->stop($round % 2 ? 'fast' : 'immediate');
	$node->start;
	is(watermark('again'), $marks[-1], "class 24: restart $round keeps the watermark");
}
is(join(' ', @marks), join(' ', sort @marks), 'class 24: it never falls');
is(sql("SELECT count(*) FROM (SELECT watermark < lag(watermark) OVER (ORDER BY epoch, partition) AS fell FROM deltaflow.epochs WHERE name = 'again') e WHERE fell"), 0, 'class 24: nor in the log');
is(late('again_min'), 0, 'class 24: rows in order are not late after a restart');
$mock->produce_lines('again', line(0, at(300)));
run_once('again');
is(late('again_min') . watermark('again'), "1$marks[-1]", 'class 24: and an old one is, by the watermark from before it');

### class 25: a row after its state was purged began a new, wrong group (Flink)
make('purge');
sql("SELECT deltaflow.create_view('purged', \$\$SELECT $minute, count(*) AS n, max(id) AS last FROM purge GROUP BY 1\$\$, lateness => '1 min', options => '{\"retain\": \"2 min\"}')",
	"SELECT deltaflow.create_view('kept', \$\$SELECT $minute, count(*) AS n, max(id) AS last FROM purge GROUP BY 1\$\$, lateness => '1 min')");
$mock->produce_lines('purge', map { line(0, at($_ * 5)) } 1 .. 240);
run_once('purge', 'SET deltaflow.epoch_max_records = 20', 'SET deltaflow.group_cache = 64');
is(sql("SELECT count(*) FROM purged WHERE start < '2024-01-01 00:15+00'"), 0, 'class 25: old windows are gone');
$mock->produce_lines('purge', map { line(0, at($_ * 30)) } 1 .. 20);
run_once('purge');
is(sql("SELECT count(*) FROM purged WHERE start < '2024-01-01 00:15+00'"), 0, 'class 25: rows for them begin no new group');
is(late($_), 20, "class 25: they are late in $_, gone or not") for 'purged', 'kept';
is(sql("SELECT DISTINCT n FROM kept WHERE start BETWEEN '2024-01-01 00:01+00' AND '2024-01-01 00:10+00'"), 12, 'class 25: and change nothing that was final');
same('purged', 'class 25: live equals batch from the horizon on');

### class 29: windows without rows exist nowhere; a pause neither makes nor keeps any
make('empty', ", idle_timeout '1 min'");
sql("SELECT deltaflow.create_view('gaps', \$\$SELECT $minute, count(*) AS n, sum(id) AS s FROM empty GROUP BY 1\$\$, lateness => '0', emit => 'close')",
	"SELECT deltaflow.create_view('total', 'SELECT count(*) AS n, sum(id) AS s FROM empty')");
is(run_once('empty') . '|' . watermark('empty') . '|' . sql('SELECT count(*) FROM gaps') . '|' . sql('SELECT n, s FROM total'), '0||0|0|', 'class 29: before the first row there is no window, and one total');
$mock->produce_lines('empty', line(0, at(65)));
run_once('empty', "SET deltaflow.test_clock = '2024-01-01 10:00'");
is(watermark('empty') . '|' . sql('SELECT count(*) FROM gaps'), '|0', 'class 29: the first window is open while a partition is silent');
run_once('empty', "SET deltaflow.test_clock = '2024-01-01 10:05'");
$mock->produce_lines('empty', line(0, at(3600)), line(1, at(3660)));
run_once('empty', "SET deltaflow.test_clock = '2024-01-01 10:06'");
is(sql('SELECT start, n FROM gaps'), '2024-01-01 00:01:00+00|1', 'class 29: it closes with the pause, and none of the 58 empty ones behind it is made');
run_once('empty', "SET deltaflow.test_clock = '2024-01-01 10:08'");
is(watermark('empty') . '|' . sql('SELECT count(*) FROM gaps'), '2024-01-01 01:01:00+00|2', 'class 29: when all is silent the watermark rests at the last row');
is(run_once('empty', "SET deltaflow.test_clock = '2024-01-02 10:08'") . '|' . watermark('empty'), '0|2024-01-01 01:01:00+00', 'class 29: and the clock alone moves it no further');
is(sql("SELECT deltaflow.run_once('empty', true)", 'SELECT count(*) FROM gaps', "SELECT count(*) FROM deltaflow.reconcile('gaps')"), "0\n3\n0", 'class 29: at the end every window with rows is there, and no other');

check_books($node, 'at the end');
$node->stop;
done_testing();
