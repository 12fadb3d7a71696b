# The watermark: which partitions hold it, what moves it, and that rows are late
# exactly by what the log of epochs says.  Time is set (deltaflow.test_clock), never
# waited for.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { skew => 3, log => 3, idle => 3, slow => 2, future => 1, nulls => 2, strict => 1, over => 2, live => 2 });
my $node = deltaflow_node('main', 'deltaflow.enabled = off', "timezone = 'UTC'");

create_broker($node, $mock->address);
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR PUBLIC SERVER broker');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }

# A topic with event time, its table and ingest, and a view per minute.
sub make
{
	my ($name, $options, $view) = @_;

	sql("CREATE FOREIGN TABLE ${name}_topic (id int, ts timestamptz, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
		SERVER broker OPTIONS (topic '$name', format 'json', event_time 'ts'$options)",
		"CREATE TABLE $name (LIKE ${name}_topic)", "SELECT deltaflow.create_ingest('${name}_topic', '$name')",
		"SELECT deltaflow.create_view('${name}_min', \$\$SELECT date_bin('1 min', ts, '2000-01-01') AS start, count(*) AS n, sum(id) AS s FROM $name GROUP BY 1\$\$$view)");
}

# A time of 2024-01-01, by seconds of the day.
sub at { my ($s) = @_; return sprintf '2024-01-01 %02d:%02d:%02d+00', $s / 3600, $s / 60 % 60, $s % 60; }

my $id = 0;

# One line for produce_lines: partition, seconds of the day (or a value to be taken as it is).
sub line
{
	my ($partition, $time) = @_;
	my $ts = !defined $time ? 'null' : '"' . ($time =~ /^\d+$/ ? at($time) : $time) . '"';

	return sprintf "%d\tk\t{\"id\": %d, \"ts\": %s}", $partition, ++$id, $ts;
}

sub run_once
{
	my ($name, %options) = @_;

	return (split /\n/, sql(($options{clock} ? "SET deltaflow.test_clock = '$options{clock}'" : 'SELECT'),
		'SET deltaflow.epoch_max_records = ' . ($options{cut} // 100000), "SELECT deltaflow.run_once('$name'" . ($options{close} ? ', true' : '') . ')'))[-1];
}

sub watermark { my ($name) = @_; return sql("SELECT watermark FROM deltaflow.status WHERE name = '$name'"); }
sub late { my ($name) = @_; return sql("SELECT count(*) FROM deltaflow.late_rows WHERE name = '${name}_min'"); }

# Rows that are late by the epoch log and those that were kept as late, compared both ways.
sub check_log
{
	my ($name, $lateness, $when) = @_;

	is(sql(<<SQL), '', "$when: rows are late exactly as the log of epochs says");
WITH expected AS (
	SELECT t.part, t.off, e.epoch FROM $name t
	JOIN deltaflow.epochs e ON e.name = '$name' AND e.partition = t.part AND t.off >= e.first_offset AND t.off < e.next_offset
	WHERE date_bin('1 min', t.ts, '2000-01-01') + '1 min'::interval + '$lateness'::interval <= e.watermark),
kept AS (SELECT partition, record_offset, epoch FROM deltaflow.late_rows WHERE name = '${name}_min')
(SELECT 'not kept', * FROM (SELECT * FROM expected EXCEPT ALL SELECT * FROM kept) a)
UNION ALL (SELECT 'not late', * FROM (SELECT * FROM kept EXCEPT ALL SELECT * FROM expected) b) LIMIT 5
SQL
}

### a partition far ahead of the others makes nothing late
make('skew', '', ", lateness => '0'");
$mock->produce_lines('skew', map { line(0, $_ * 60) } 0 .. 600);
is(run_once('skew', cut => 50), 601, 'one partition is read, ten hours of it');
is(watermark('skew'), '', 'partitions that said nothing yet hold the watermark');
for my $round (0 .. 4)
{
	$mock->produce_lines('skew', map { my $s = $_; map { line($_, $_ == 0 ? 36000 + $s : $s * 60) } 0 .. 2 } $round * 60 .. $round * 60 + 59);
	run_once('skew', cut => 20 + int rand 60);
}
is(late('skew'), 0, 'in order within each partition: no row is late');
is(watermark('skew'), '2024-01-01 04:59:00+00', 'the watermark is that of the slowest partition');
is(sql("SELECT count(*) FROM deltaflow.reconcile('skew_min')"), 0, 'live equals batch');

### out of order: which rows are late is a function of the log
my $seed = seed_random();

make('log', ", watermark_delay '20 s'", ", lateness => '15 s'");
my @clock = (0, 0, 0);
for my $round (1 .. 8)
{
	my @lines;

	for (1 .. 250)
	{
		my $p = int rand 3;

		$clock[$p] += int rand 4;
		push @lines, line($p, rand() < 0.02 ? undef : $clock[$p] - (rand() < 0.3 ? int(rand 400) % ($clock[$p] + 1) : 0));
	}
	$mock->produce_lines('log', @lines);
	run_once('log', cut => 1 + int rand 100);
	$node->restart if $round == 3;
}
cmp_ok(late('log'), '>', 20, 'some rows are late');
check_log('log', '15 s', 'random disorder');
is(sql("SELECT count(*) FROM deltaflow.late_rows WHERE name = 'log_min' AND event_time IS NULL"), 0, 'a row without event time is not late');
is(sql("SELECT side, reason, row_data FROM deltaflow.reconcile('log_min') WHERE reason !~ 'late rows of this window'"), '', 'what differs from batch are late rows');
is(sql("SELECT count(*) FROM (SELECT watermark < lag(watermark) OVER (ORDER BY epoch, partition) AS fell FROM deltaflow.epochs WHERE name = 'log') w WHERE fell"), 0, 'the watermark never falls');
my $before = watermark('log');
$node->restart;
is(watermark('log'), $before, 'a restart keeps it');
$mock->produce_lines('log', line(0, 0));
run_once('log');
check_log('log', '15 s', 'after the restart');
is(watermark('log'), $before, 'an old row does not move it');
is(sql("SELECT deltaflow.recompute('log_min') > 0", "SELECT count(*) FROM deltaflow.reconcile('log_min')"), "t\n0", 'recompute takes the late rows in');

### how late rows come: against the definition, row by row
for my $relation ('log', 'log_topic')
{
	is(sql(<<SQL), '', "lateness_report('$relation') counts what is behind");
CREATE TEMP TABLE behind AS SELECT part, coalesce((SELECT greatest(max(o.ts) - r.ts, '0') FROM log o WHERE o.part = r.part AND o.off < r.off), '0') AS d FROM log r WHERE ts IS NOT NULL;
SELECT * FROM deltaflow.lateness_report('$relation') l,
	LATERAL (SELECT count(*) AS n, count(*) FILTER (WHERE d > l.watermark_delay) AS late, count(*) FILTER (WHERE d >= l.watermark_delay) AS reached
	         FROM behind b WHERE l.partition IS NULL OR b.part = l.partition) e
WHERE (l.rows, l.rows_behind) IS DISTINCT FROM (e.n, e.late) OR abs(l.quantile - (1 - e.late::float8 / e.n)) > 1e-9 OR reached = 0
SQL
}
is(sql("SELECT count(*), count(DISTINCT partition), min(rows_behind) FROM deltaflow.lateness_report('log')"), '28|3|0', 'seven delays for each partition and for all');
is(sql("SELECT string_agg(watermark_delay::text, ' ' ORDER BY watermark_delay), bool_and(rows_behind > 0) FROM deltaflow.lateness_report('log', '{10 s,1 min}') WHERE partition IS NULL"), '00:00:10 00:01:00|t', 'or the delays asked for');
is(sql("SELECT w.rows_behind < r.rows_behind FROM deltaflow.lateness_report('log', '{10 s}', '1 min') w, deltaflow.lateness_report('log', '{10 s}') r WHERE w.partition IS NULL AND r.partition IS NULL"), 't', 'fewer are late for their window');
sql('CREATE TABLE bare (id int, ts timestamptz)', "SELECT deltaflow.create_ingest('log_topic', 'bare')");
my ($ignored, $nothing, $refused) = $node->psql('postgres', "SELECT deltaflow.lateness_report('bare')");
like($refused, qr/rows of "bare" do not tell their partition\n.*\nHINT:  Report on the topic log_topic, which has column "part"/, 'a table without the place in the log is refused, with the alternative');

### idle partitions
make('idle', ", idle_timeout '5 min'", ", lateness => '0'");
$mock->produce_lines('idle', line(0, 600), line(1, 60), line(2, 700));
run_once('idle', clock => '2024-01-01 10:00');
is(watermark('idle'), '2024-01-01 00:01:00+00', 'each partition counts');
run_once('idle', clock => '2024-01-01 10:04:59');
is(watermark('idle'), '2024-01-01 00:01:00+00', 'also after a while');
is(sql("SELECT partition, watermark, holds FROM deltaflow.watermarks WHERE name = 'idle' ORDER BY 1"),
	"0|2024-01-01 00:10:00+00|f\n1|2024-01-01 00:01:00+00|f\n2|2024-01-01 00:11:40+00|f", 'real time has passed for all of them');
$mock->produce_lines('idle', line(0, 900), line(2, 960));
run_once('idle', clock => '2024-01-01 10:05:10');
is(watermark('idle'), '2024-01-01 00:15:00+00', 'but not once it was silent for longer than idle_timeout');
run_once('idle', clock => '2024-01-01 10:10:09');
is(watermark('idle'), '2024-01-01 00:15:00+00', 'then the others hold it');
run_once('idle', clock => '2024-01-01 10:10:10');
is(watermark('idle'), '2024-01-01 00:16:00+00', 'when all are idle it goes to the greatest, in an epoch without records');
is(sql("SELECT partition, records, watermark FROM deltaflow.epochs WHERE name = 'idle' AND epoch = (SELECT max(epoch) FROM deltaflow.epochs WHERE name = 'idle') ORDER BY 1"),
	join("\n", map { "$_|0|2024-01-01 00:15:00+00" } 0 .. 2), 'which the log has, too');
my $epoch = sql("SELECT epoch FROM deltaflow.pipeline WHERE name = 'idle'");
is(run_once('idle', clock => '2024-01-01 10:30'), 0, 'that happens once');
is(sql("SELECT epoch FROM deltaflow.pipeline WHERE name = 'idle'"), $epoch, 'and not again');
$mock->produce_lines('idle', line(1, 120), line(1, 1000));
run_once('idle', clock => '2024-01-01 10:31');
is(late('idle'), 1, 'a partition that speaks again after that may be late');
is(watermark('idle'), '2024-01-01 00:16:40+00', 'and counts again');
check_log('idle', '0', 'with idle partitions');

### being slow is not being idle: what waits in the log counts, however late we come to it
make('slow', ", idle_timeout '1 min'", ", lateness => '0'");
$mock->produce_lines('slow', line(0, 60), line(1, 60));
run_once('slow', clock => '2024-01-01 10:00');
$mock->produce_lines('slow', (map { line(0, 60 * $_) } 2 .. 60), (map { line(1, 60 * $_) } 2 .. 60));
run_once('slow', clock => '2024-01-02 10:00', cut => 1 + int rand 10);
is(late('slow'), 0, 'after a day without a consumer no row is late');

### times in the future
make('future', ", max_future '1 hour'", ", lateness => '0'");
$mock->produce_lines('future', line(0, 60), line(0, 7200), line(0, 'infinity'), line(0, '2099-01-01'), line(0, 3660), line(0, 3661), line(0, '-infinity'));
run_once('future', clock => '2024-01-01 00:01:00+00');
is(watermark('future'), '2024-01-01 01:01:00+00', 'event times up to max_future ahead of the clock move the watermark');
is(sql("SELECT sum(n) FROM future_min"), 7, 'others count as rows');
is(sql("SELECT future_rows FROM deltaflow.watermarks WHERE name = 'future'"), 4, 'and are counted');
make('strict', ", max_future '1 hour', on_future 'dead_letter'", ", lateness => '0'");
$mock->produce_lines('strict', line(0, 60), line(0, 'infinity'), line(0, '2099-01-01'), line(0, 3660), line(0, 3661));
run_once('strict', clock => '2024-01-01 00:01:00+00');
is(sql("SELECT sum(n) FROM strict_min"), 2, 'on_future dead_letter sets them aside');
is(sql("SELECT string_agg(DISTINCT concat_ws(' ', stage, sqlstate, column_name, message), '; '), count(*) FROM deltaflow.dead_letters WHERE name = 'strict'"),
	'check 22008 ts event time is too far in the future|3', 'with the reason');

# over the topic itself, also for a view that is made when their time has come
sql(q{SELECT deltaflow.create_view('strict_live', 'SELECT ts, count(*) AS n FROM strict_topic GROUP BY 1')});
run_once('strict_topic', clock => '2024-01-01 00:01:00+00');
sql(q{SELECT deltaflow.create_view('strict_later', 'SELECT ts, count(*) AS n FROM strict_topic GROUP BY 1')});
run_once('strict_topic', clock => '2024-01-02 00:00:00+00');
for my $view (qw(strict_live strict_later))
{
	is(sql("SELECT sum(n) FROM $view"), 2, "$view: what is set aside stays so for every view");
	is(sql("SELECT * FROM deltaflow.reconcile('$view')"), '', "$view: reconcile leaves it out too");
	is(sql("SELECT deltaflow.recompute('$view', NULL, NULL)"), 0, "$view: and so does recompute");
	is(sql("SELECT sum(n) FROM ${view}_batch"), 5, "$view: the batch view reads what the topic holds");
}
is(sql("SELECT sum(applied), sum(dead) FROM deltaflow.accounting WHERE name LIKE 'strict_l%' GROUP BY name"), "2|3\n2|3", 'the books of both say so');
sql("SELECT deltaflow.set_position('strict_topic', 0, 0)");
run_once('strict_topic', clock => '2100-01-01 00:00:00+00');
is(sql("SELECT count(*) FILTER (WHERE replayed_at IS NOT NULL), count(*) FILTER (WHERE replayed_at IS NULL) FROM deltaflow.dead_letters WHERE name = 'strict_topic'"), '3|1',
	'read again, they are judged anew');
sql("SELECT deltaflow.recompute('strict_live', NULL, NULL)");
is(sql("SELECT sum(n) FROM strict_live"), 4, 'and what is no longer in the future counts');
is(sql("SELECT * FROM deltaflow.reconcile('strict_live')"), '', 'for reconcile, too');
sql(q{SELECT deltaflow.create_view('strict_again', 'SELECT ts, count(*) AS n FROM strict_topic GROUP BY 1')});
run_once('strict_topic', clock => '2024-01-01 00:01:00+00');
is(sql("SELECT count(*) FROM deltaflow.dead_letters WHERE name = 'strict_again'"), 2, 'what a filling sets aside is kept, also where an older word on it is void');
is(sql("SELECT * FROM deltaflow.reconcile('strict_again')"), '', 'and reconcile knows');

### rows without event time
make('nulls', '', ", lateness => '0'");
$mock->produce_lines('nulls', line(0, undef), line(1, undef), line(0, 3600));
run_once('nulls');
is(watermark('nulls'), '', 'a partition of rows without event time holds the watermark');
is(sql("SELECT partition, max_event_time, holds FROM deltaflow.watermarks WHERE name = 'nulls' ORDER BY 1"),
	"0|2024-01-01 01:00:00+00|f\n1||t", 'and deltaflow.watermarks tells which');
$mock->produce_lines('nulls', line(1, 3600), line(0, undef));
run_once('nulls');
is(watermark('nulls'), '2024-01-01 01:00:00+00', 'until it has one');
$mock->produce_lines('nulls', line(1, undef), line(0, 60));
run_once('nulls');
is(sql("SELECT start, n FROM nulls_min ORDER BY 1") . '/' . late('nulls'), "2024-01-01 01:00:00+00|2\n|4/1", 'they are a group of their own and never late');

### bounded input
make('over', '', ", lateness => '1 min', emit => 'close'");
$mock->produce_lines('over', line(0, 60), line(1, 90), line(0, 600), line(1, 601), line(1, 'infinity'));
run_once('over');
is(sql('SELECT count(*) FROM over_min'), 1, 'windows that are not final are not shown');
is(sql("SELECT at, deltaflow.is_final('over_min', at), deltaflow.is_final('over_min', at AT TIME ZONE 'UTC') FROM (VALUES ('2024-01-01 00:09+00'::timestamptz), ('2024-01-01 00:09:01+00'), ('infinity'), ('294276-12-31 23:59:59+00'), (NULL)) v(at)"),
	"2024-01-01 00:09:00+00|t|t\n2024-01-01 00:09:01+00|f|f\ninfinity|f|f\n294276-12-31 23:59:59+00|f|f\n|f|f", 'is_final tells when it will be');
is(sql("SELECT deltaflow.is_final('log', '2000-01-01'::timestamptz) IS NULL, watermark_delay FROM deltaflow.status WHERE name = 'log'"), 't|00:00:20', 'of a continuous view only');
is(run_once('over', close => 1) . '|' . watermark('over'), '0|infinity', 'when the input is over the watermark moves to infinity');
is(sql('SELECT sum(n) FROM over_min'), 5, 'and every window is final');
is(sql("SELECT count(*) FROM deltaflow.reconcile('over_min')"), 0, 'as in batch');
is(sql("SELECT deltaflow.is_final('over_min', '294276-12-31 23:59:59+00'::timestamptz), deltaflow.is_final('over_min', 'infinity'::timestamptz)"), 't|t', 'is_final agrees');
$mock->produce_lines('over', line(0, 80000), line(0, "infinity"), line(0, undef));
run_once('over');
is(late('over') . '|' . sql('SELECT sum(n) FROM over_min'), '2|5', 'what comes after that is late');
my ($status, $out, $error) = $node->psql('postgres', "ALTER FOREIGN TABLE over_topic OPTIONS (DROP event_time); SELECT deltaflow.run_once('over', close_windows => true)");
like($error, qr/ERROR:  topic "over_topic" has no event time/, 'closing needs an event time');

### a worker: windows close when a stream pauses, without another record
make('live', ", idle_timeout '5 min'", ", lateness => '0', emit => 'close'");
$node->safe_psql('postgres', "SELECT deltaflow.pause(name) FROM deltaflow.status WHERE kind = 'ingest' AND name <> 'live'");
$node->append_conf('postgresql.conf', "deltaflow.test_clock = '2024-01-01 10:00+00'\ndeltaflow.enabled = on\n");
$node->reload;
$mock->produce_lines('live', line(0, 60), line(0, 600), line(1, 30));
wait_for_rows($node, "SELECT count(*) FROM live", 3, 'the worker has taken the rows');
is(watermark('live'), '2024-01-01 00:00:30+00', 'the partition behind holds the watermark');
$node->append_conf('postgresql.conf', "deltaflow.test_clock = '2024-01-01 10:05+00'\n");
$node->reload;
wait_for_rows($node, "SELECT watermark FROM deltaflow.status WHERE name = 'live'", '2024-01-01 00:10:00+00', 'when both are idle the watermark moves by itself');
is(sql('SELECT start, n FROM live_min ORDER BY 1'), "2024-01-01 00:00:00+00|1\n2024-01-01 00:01:00+00|1", 'and windows close');
$node->safe_psql('postgres', "SELECT deltaflow.pause('live')");

check_books($node, 'at the end');
$node->stop;
done_testing();
