# The bug classes that other engines have had with incrementally kept views, one
# subtest each, by their numbers in the list this project works from:
#
#   1 NULL keys         2 duplicate groups   3 representative    4 NaN, infinities
#   5 float order       6 empty and NULL     7 numeric scale     8 overflow
#  14 thresholds       15 vanish, reappear  18 made meanwhile   19 zones
#  27 volatile         31 sketches          32 batch cuts
#
# Two-phase, join and retraction classes have nothing to bite here: rows only come in.
# Classes of event time and sessions (20-25, 29) have tests of their own.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start;
my $node = deltaflow_node('main', 'deltaflow.enabled = off', 'deltaflow.naptime = 1s', "timezone = 'UTC'", 'fsync = off');
my ($class, $partitions);

create_broker($node, $mock->address);

sub sql
{
	my ($query) = @_;

	return $node->safe_psql('postgres', "SET client_min_messages = error; SET search_path = $class, public; $query");
}

# Schema, topic of the columns, and an ingest of it into table "source".
sub set_up
{
	my ($name, $columns, %options) = @_;

	$class = $name;
	$partitions = $options{partitions} // 1;
	$mock->command("create $class $partitions");
	my $event_time = $options{event_time} ? ", event_time '$options{event_time}'" : '';
	sql(qq{
		CREATE SCHEMA $class;
		CREATE FOREIGN TABLE topic ($columns) SERVER broker OPTIONS (topic '$class', format 'json'$event_time);
		CREATE TABLE source (LIKE topic);
		SELECT deltaflow.create_ingest('topic', 'source', name => '$class')});
}

sub view
{
	my ($name, $query, $options) = @_;

	sql("SELECT deltaflow.create_view('$name', \$d\$$query\$d\$" . ($options // '') . ')');
}

# Records into one partition, taken in as an epoch of their own by a session that starts cold.
sub feed
{
	my ($partition, @records) = @_;

	$mock->produce_lines($class, map { "$partition\t\\N\t$_" } @records);
	sql("SELECT deltaflow.run_once('$class')");
}

# Live and batch are the same rows, as texts, both ways.
sub same
{
	my ($name, $when) = @_;
	my $rows = sql(qq{(SELECT 'live', live_::text FROM $name live_ EXCEPT ALL SELECT 'live', batch_::text FROM ${name}_batch batch_)
		UNION ALL (SELECT 'batch', batch_::text FROM ${name}_batch batch_ EXCEPT ALL SELECT 'batch', live_::text FROM $name live_) LIMIT 5});

	return is($rows, '', "$name equals its definition" . (defined $when ? ", $when" : ''));
}

# The same records one an epoch, in several orders, each on a topic of its own: one answer.
sub any_order
{
	my ($columns, $query, $output, @orders) = @_;
	my ($base, $n, %answers) = ($class, 0);

	for my $order (@orders)
	{
		set_up($base . '_' . ++$n, $columns);
		view('v', $query);
		feed(0, $_) for @$order;
		$answers{ sql("SELECT $output FROM v") } = 1;
	}
	return sort keys %answers;
}

sub permutations
{
	my @items = @_;

	return [@items] if @items <= 1;
	return map { my $i = $_; my @rest = @items; my ($first) = splice @rest, $i, 1; map { [ $first, @$_ ] } permutations(@rest) } 0 .. $#items;
}

subtest 'class 1: NULL in each key column is one group' => sub {
	set_up('class_1', 'a int, b text, at timestamptz, n numeric');
	view('keys', q(SELECT a, b, date_bin('1 hour', at, '2000-01-01') AS w, n, count(*) FROM source GROUP BY a, b, w, n));
	view('one', 'SELECT a, count(*) FROM source GROUP BY a');
	my @values = map { my $mask = $_; sprintf '{"a": %s, "b": %s, "at": %s, "n": %s}', ($mask & 1 ? 'null' : 1), ($mask & 2 ? 'null' : '"x"'), ($mask & 4 ? 'null' : '"2024-05-01 10:00+00"'), ($mask & 8 ? 'null' : '1.5') } 0 .. 15;

	feed(0, @values);
	feed(0, @values, '{}');
	feed(0, reverse @values);
	is(sql('SELECT count(*), min(count), max(count) FROM keys'), '16|3|4', 'sixteen groups, each once');
	is(sql('SELECT a, count FROM one ORDER BY a'), "1|24\n|25", 'a single key');
	same($_) for qw(keys one);
};

subtest 'class 2: a group is there once, whoever met it first' => sub {
	set_up('class_2', 'k int, v int', partitions => 4);
	view('v', 'SELECT k, count(*), sum(v) FROM source GROUP BY k');
	my @records = map { sprintf '{"k": %d, "v": %d}', $_ % 5, $_ } 1 .. 200;

	# the same groups in every partition, and two sessions at once
	$mock->produce_lines($class, map { "$_\t\\N\t" . $records[ rand @records ] } map { (0 .. 3) x 1 } 1 .. 50);
	my @sessions = map { IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', "SELECT deltaflow.run_once('class_2')" ], '>', \my $out, '2>', \my $error) } 1 .. 2;
	$_->finish for @sessions;
	feed($_, @records[ 0 .. 20 ]) for 0 .. 3;
	is(sql('SELECT count(*), count(DISTINCT k), sum(count) FROM v'), '5|5|284', 'five groups, every row once');
	is(sql('SELECT count(*), count(DISTINCT k) FROM v_state'), '5|5', 'in the state table, too');
	same('v');
};

subtest 'class 3: equal keys with different images have one representative' => sub {
	my $columns = 'n numeric, d float8, t text';

	$class = 'class_3';
	is(join(' ', any_order($columns, 'SELECT n, count(*) FROM source GROUP BY n', q(string_agg(n || '=' || count, ',')), permutations('{"n": 1.0}', '{"n": "1.00"}', '{"n": 1}'))), '1.00=3', 'the longest scale of a numeric, in any order');
	$class = 'class_3_zero';
	is(scalar(my @zero = any_order($columns, 'SELECT d, count(*) FROM source GROUP BY d', q(string_agg(d || '=' || count, ',')), permutations('{"d": 0}', '{"d": -0.0}'))), 1, 'one zero');
	$class = 'class_3_extreme';
	is(scalar(my @extreme = any_order($columns, 'SELECT max(n) AS hi, min(n) AS lo FROM source', 'hi, lo', permutations('{"n": 2.0}', '{"n": "2.00"}', '{"n": 2}'))), 1, 'one image of equal extremes');
	set_up('class_3_collation', 't text');
	sql(q(CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)));
	my (undef, undef, $error) = $node->psql('postgres', q(SET search_path = class_3_collation, public; SELECT deltaflow.create_view('v', 'SELECT t COLLATE any_case AS t, count(*) FROM source GROUP BY 1')));
	like($error, qr/nondeterministic/, 'keys of a nondeterministic collation are refused');
};

subtest 'class 4: NaN, infinities and -0' => sub {
	set_up('class_4', 'k int, d float8, f real, n numeric');
	view('v', 'SELECT k, sum(d) AS sd, avg(d) AS ad, min(d) AS ld, max(d) AS hd, sum(f) AS sf, avg(f) AS af, sum(n) AS sn, avg(n) AS an, min(n) AS ln, max(n) AS hn, variance(n) AS vn, stddev_pop(d) AS vd FROM source GROUP BY k');
	my @special = ('"NaN"', '"Infinity"', '"-Infinity"', '1.5');
	my $k = 0;

	# every subset and both orders: inf - inf is NaN, NaN swallows all
	for my $mask (1 .. 15)
	{
		for my $order (0, 1)
		{
			my @chosen = map { $special[$_] } grep { $mask & 1 << $_ } 0 .. 3;

			$k++;
			$mock->produce_lines($class, map { "0\t\\N\t{\"k\": $k, \"d\": $_, \"f\": $_, \"n\": $_}" } $order ? reverse @chosen : @chosen);
			sql("SET deltaflow.epoch_max_records = 1; SELECT deltaflow.run_once('$class')") if $mask % 4 == 3;
		}
	}
	feed(0, '{"k": 0, "d": 0, "f": 0, "n": 0}', '{"k": 0, "d": -0.0, "f": -0.0, "n": 0}');
	is(sql('SELECT count(*) FROM v'), 31, 'all subsets');
	same('v');
};

subtest 'class 5: float sums do not depend on order and do not cancel' => sub {
	my @records = map { qq({"d": $_}) } '1e16', '1', '-1e16', '0.5';

	$class = 'class_5';
	is(join(' ', any_order('d float8', 'SELECT sum(d) AS s, avg(d) AS a FROM source', q(s || ',' || a), permutations(@records))), '1.5,0.375', 'sum and average are exact in all 24 orders');
	set_up('class_5_spread', 'k int, d float8');
	view('v', 'SELECT k, sum(d), avg(d) AS a, variance(d) AS v FROM source GROUP BY k');
	feed(0, map { sprintf '{"k": %d, "d": %s}', $_ % 3, $_ * 0.1 + 1e6 } 1 .. 500);
	is(sql(q(SELECT count(*) FROM deltaflow.reconcile('class_5_spread.v'))), 0, 'the plain query is within the documented tolerance');
};

subtest 'class 6: sums of nothing are NULL, counts of nothing 0' => sub {
	set_up('class_6', 'k int, i int, d float8, n numeric, b boolean, at timestamptz');
	view('v', 'SELECT k, count(*) AS rows, count(i) AS n, sum(i) AS si, avg(i) AS ai, sum(d) AS sd, avg(d) AS ad, sum(n) AS sn, min(n) AS ln, variance(n) AS vn, bool_and(b) AS b, max(at) AS m FROM source GROUP BY k');
	view('filtered', 'SELECT k, sum(i) FILTER (WHERE i > 1000) AS s, count(i) FILTER (WHERE i > 1000) AS c FROM source GROUP BY k');
	view('everything', 'SELECT count(*) AS rows, sum(i) AS s, avg(n) AS a, max(d) AS m FROM source');
	is(sql('TABLE everything'), '0|||', 'the answer before any row');
	feed(0, '{"k": 1}', '{"k": 1}', '{"k": 2, "i": 5, "d": 0.5, "n": 2, "b": true, "at": "2024-01-01 00:00+00"}');
	is(sql('SELECT * FROM v WHERE k = 1'), '1|2|0|||||||||', 'a group of NULLs');
	same($_, 'with NULLs') for qw(v filtered everything);

	# emptied behind the view's back, corrected, refilled
	sql('DELETE FROM source WHERE k = 2');
	sql(qq(SELECT deltaflow.recompute('$class.$_'))) for qw(v filtered everything);
	is(sql('SELECT count(*) FROM v WHERE k = 2'), 0, 'an emptied group is gone');
	feed(0, '{"k": 2}', '{"k": 1, "i": 7}');
	is(sql('SELECT rows, n, si FROM v WHERE k = 2'), '1|0|', 'refilled with NULLs it is NULL again');
	same($_, 'refilled') for qw(v filtered everything);
};

subtest 'class 7: averages and numeric scale, digit for digit' => sub {
	set_up('class_7', 'k int, n numeric, m numeric(12,2), l bigint, s smallint');
	view('v', 'SELECT k, avg(n) AS an, sum(n) AS sn, avg(m) AS am, sum(m) AS sm, avg(l) AS al, avg(s) AS a, variance(n) AS vn, stddev(l) AS vl, var_pop(s) AS vs, sum(n) / count(*) AS q FROM source GROUP BY k');
	for my $epoch (1 .. 4)
	{
		feed(0, map { sprintf '{"k": %d, "n": "%.*f", "m": %.1f, "l": %d, "s": %d}', $_ % 4, $_ % 7, 10 / ($_ + $epoch), $_ / 3, 9e18 / $_, $_ } 1 .. 12);
		same('v', "epoch $epoch");
	}
	feed(0, '{"k": 1, "n": 1e30}', '{"k": 1, "n": -1e30}', '{"k": 2, "n": "0.000000000000000000000000000001"}');
	same('v', 'with far scales');
};

subtest 'class 8: overflow is an error in both or in neither' => sub {
	set_up('class_8', 'k int, i int, l bigint, s interval');
	view('wide', 'SELECT k, sum(l) AS s, avg(l) AS a, sum(i) AS si, variance(l) AS v, sum(s) AS span FROM source GROUP BY k');
	view('narrow', 'SELECT k, sum(i * 2) AS s FROM source GROUP BY k');
	view('late_to_tell', 'SELECT k, max(i) + 1 AS m FROM source GROUP BY k');
	feed(0, '{"k": 1, "l": 9223372036854775807, "i": 1, "s": "1 day"}') for 1 .. 3;
	same($_, 'near the limit') for qw(wide narrow late_to_tell);
	feed(0, '{"k": 1, "i": 2147483647, "l": -9223372036854775808}', '{"k": 1, "l": 9223372036854775807}');
	same('wide', 'sums beyond bigint are numeric');
	is(sql(q(SELECT state, last_error FROM deltaflow.view WHERE live = 'narrow'::regclass)), 'failed|integer out of range', 'what fails in batch fails the view, with the reason');
	my @errors = map { my (undef, undef, $error) = $node->psql('postgres', "SET search_path = $class; TABLE $_"); $error =~ /integer out of range/ ? 1 : 0 } qw(narrow_batch late_to_tell late_to_tell_batch);
	is("@errors", '1 1 1', 'an expression above the aggregates fails when read, live and batch');
	is(sql(q(SELECT state FROM deltaflow.view WHERE live = 'wide'::regclass)), 'running', 'the other views go on');
};

subtest 'class 14: HAVING and FILTER crossed both ways' => sub {
	set_up('class_14', 'k int, i int, at timestamptz', event_time => 'at');
	view('above', 'SELECT k, sum(i) AS s, count(*) FILTER (WHERE i > 0) AS p FROM source GROUP BY k HAVING sum(i) > 10');
	view('even', 'SELECT k, count(*) AS n FROM source GROUP BY k HAVING count(*) FILTER (WHERE i > 0) % 2 = 0');
	view('guarded', 'SELECT k, sum(100 / i) FILTER (WHERE i <> 0) AS q, max(i % 7) FILTER (WHERE i > 0) AS r FROM source GROUP BY k');
	my @shown;
	for my $i (5, 6, -1, -5, 5, 1, 0, -11, 100)
	{
		feed(0, qq({"k": 1, "i": $i}));
		push @shown, sql('SELECT count(*) FROM above');
		same($_, "at $i") for qw(above even guarded);
	}
	is("@shown", '0 1 0 0 0 1 1 0 1', 'the group came and went');
};

subtest 'class 15: a group vanishes and reappears' => sub {
	set_up('class_15', 'k text, i int, at timestamptz');
	view('v', q(SELECT date_bin('1 hour', at, '2000-01-01') AS w, k, count(*) AS n, sum(i) AS s, max(i) AS m FROM source GROUP BY 1, 2));
	my @records = map { sprintf '{"k": "%s", "i": %d, "at": "2024-05-01 %02d:30+00"}', chr(97 + $_ % 3), $_, $_ % 4 } 1 .. 24;

	for my $round (1 .. 3)
	{
		feed(0, @records);
		same('v', "filled, round $round");
		sql('DELETE FROM source' . ($round == 2 ? q( WHERE k = 'b') : ''));
		sql("SELECT deltaflow.recompute('$class.v')");
		same('v', "emptied, round $round");
	}
	is(sql('SELECT count(*) FROM v_state'), 0, 'no state is left of what is gone');
	feed(0, $records[5]);
	is(sql('SELECT k, n, s, m FROM v'), 'a|1|6|6', 'it begins anew');
};

subtest 'class 19: days and hours of zones through both changes of time' => sub {
	set_up('class_19', 'at timestamptz, i int');
	my %zones = (paris => 'Europe/Paris', howe => 'Australia/Lord_Howe', santiago => 'America/Santiago', azores => 'Atlantic/Azores');

	for my $name (sort keys %zones)
	{
		view("days_$name", "SELECT date_trunc('day', at, '$zones{$name}') AS w, count(*) AS n FROM source GROUP BY 1");
		view("hours_$name", "SELECT date_trunc('hour', at, '$zones{$name}') AS w, count(*) AS n FROM source GROUP BY 1");
	}
	# every ten minutes of four days from 29 March, 4 April, 6 September and 3 October, of five from 25 October
	my @records;
	for my $start (1711670400, 1712188800, 1725580800, 1727913600, 1729814400)
	{
		push @records, map { my @t = gmtime($start + 600 * $_); sprintf '{"at": "%04d-%02d-%02d %02d:%02d:%02d+00", "i": 1}', $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ] } 0 .. 144 * ($start == 1729814400 ? 5 : 4) - 1;
	}
	feed(0, splice @records, 0, 700) while @records;
	for my $name (sort keys %zones)
	{
		same($_) for "days_$name", "hours_$name";
		is(sql("SET TimeZone = '$zones{$name}'; SELECT count(*) FROM days_$name WHERE w <> date_trunc('day', w)"), 0, "$name: days begin at local midnight, or where the day begins");
	}
	is(sql(q(SET TimeZone = 'Europe/Paris'; SELECT string_agg(n::text, ' ' ORDER BY w) FROM days_paris WHERE w::date IN ('2024-03-30', '2024-03-31', '2024-10-27', '2024-10-28'))), '144 138 150 144', 'Paris: 24, 23, 25 and 24 hours');
	is(sql(q(SET TimeZone = 'Australia/Lord_Howe'; SELECT string_agg(n::text, ' ' ORDER BY w) FROM days_howe WHERE w::date IN ('2024-04-06', '2024-04-07', '2024-10-05', '2024-10-06'))), '144 147 144 141', 'Lord Howe: half an hour more and less');

	# in the Azores, 27 October has two midnights, at 00:00 and 01:00 UTC: the day begins at the second, and has the rows between
	for my $range ("'2024-10-26', '2024-10-27 01:00'", "'2024-10-27 01:00', '2024-10-28 01:00'")
	{
		is(sql("SELECT deltaflow.recompute('days_azores', $range)"), 0, "recompute: whole days between $range");
		is(sql("SELECT count(*) FROM deltaflow.reconcile('days_azores', $range)"), 0, 'reconcile: the same');
		sql("SELECT deltaflow.run('days_azores', 'days_azores_run', $range)");
	}
	same('days_azores');
	is(sql(q(SELECT string_agg(n::text, ' ' ORDER BY w) FROM days_azores WHERE w::date IN ('2024-10-26', '2024-10-27'))), '144 150', 'Azores: 24 and 25 hours');
	is(sql(q((TABLE days_azores_run EXCEPT ALL SELECT * FROM days_azores WHERE w::date IN ('2024-10-26', '2024-10-27')) UNION ALL (SELECT * FROM days_azores WHERE w::date IN ('2024-10-26', '2024-10-27') EXCEPT ALL TABLE days_azores_run))),
		'', 'run: the same days');

	# the zone is the one of the view's making, whoever runs it
	sql(q(SET TimeZone = 'Europe/Paris'; SELECT deltaflow.create_view('pinned', $$SELECT date_trunc('day', at) AS w, to_char(at, 'YYYY-MM-DD HH24') AS h, count(*) AS n FROM source GROUP BY 1, 2$$)));
	sql("SET TimeZone = 'America/New_York'; SELECT deltaflow.run_once('$class')");
	feed(0, '{"at": "2024-10-26 22:30:00+00"}');
	is(sql(q(SET TimeZone = 'Europe/Paris'; (TABLE pinned EXCEPT ALL TABLE pinned_batch) UNION ALL (TABLE pinned_batch EXCEPT ALL TABLE pinned))), '', 'settings are pinned when the view is made');
};

subtest 'class 27: what depends on clock, chance or session is refused' => sub {
	set_up('class_27', 'k int, at timestamptz, t text');
	sql('CREATE FUNCTION unsteady(int) RETURNS int LANGUAGE sql VOLATILE AS $$SELECT $1$$; CREATE SEQUENCE numbers');
	my %refused = (
		clock => 'SELECT count(*) FROM source WHERE at > now()',
		wall_clock => 'SELECT max(clock_timestamp() - at) AS m FROM source',
		current_date => 'SELECT at::date = CURRENT_DATE AS today, count(*) FROM source GROUP BY 1',
		chance => 'SELECT k, count(*) FILTER (WHERE random() < 0.5) AS n FROM source GROUP BY k',
		user => 'SELECT count(*) FROM source WHERE t = CURRENT_USER',
		setting => q(SELECT count(*) FROM source WHERE t = current_setting('application_name')),
		sequence => q(SELECT sum(nextval('numbers')) AS s FROM source),
		own_function => 'SELECT unsteady(k) AS u, count(*) FROM source GROUP BY 1',
		above => 'SELECT k, count(*) + random() AS n FROM source GROUP BY k',
		transaction => 'SELECT sum(pg_backend_pid()) AS s FROM source');

	for my $name (sort keys %refused)
	{
		my (undef, undef, $error) = $node->psql('postgres', "SET search_path = $class, public; SELECT deltaflow.create_view('v', \$d\$$refused{$name}\$d\$)");

		like($error, qr/ERROR:.*\n(?:.*\n)*.*HINT/m, "$name is refused, with what to do instead");
	}
	is(sql(q(SELECT count(*) FROM deltaflow.view WHERE live::text LIKE '%class_27%')), 0, 'none was made');
};

subtest 'class 31: sketches are as near as they promise' => sub {
	plan skip_all => 'hll is not installed' if !sql(q(SELECT count(*) FROM pg_available_extensions WHERE name = 'hll'));
	set_up('class_31', 'k int, u int');
	sql('CREATE EXTENSION IF NOT EXISTS hll SCHEMA public');
	view('v', 'SELECT k, hll_cardinality(hll_add_agg(hll_hash_integer(u))) AS about, count(*) AS n FROM source GROUP BY k');
	for my $epoch (1 .. 5)
	{
		feed(0, map { sprintf '{"k": %d, "u": %d}', $_ % 2, int rand(3000) } 1 .. 1000);
	}
	is(sql('SELECT count(*) FROM v JOIN v_batch b USING (k) WHERE v.about = b.about AND v.n = b.n'), 2, 'merged over epochs it is the sketch of one scan');
	is(sql('SELECT count(*) FROM v JOIN (SELECT k, count(DISTINCT u) AS exact FROM source GROUP BY k) e USING (k) WHERE abs(about - exact) / exact < 0.1'), 2, 'within its error of the exact count');
};

subtest 'class 32: batch cuts do not show' => sub {
	my $columns = 'k int, at timestamptz, n numeric, d float8, t text';
	my $query = q(SELECT date_bin('10 min', at, '2000-01-01') AS w, k, count(*) AS c, sum(n) AS sn, avg(n) AS an, sum(d) AS sd, variance(d) AS vd, min(t) AS lo, max(t) AS hi FROM source GROUP BY 1, 2);
	my @records = map { sprintf '{"k": %s, "at": "2024-05-01 %02d:%02d:00+00", "n": %s, "d": %s, "t": "%s"}', ($_ % 5 || 'null'), rand 3, rand 60, (1.0, '1.00', -2.5, 1e20)[ rand 4 ], (1e16, -1e16, 1, 0.1)[ rand 4 ], chr(97 + rand 26) } 1 .. 300;
	my %states;

	$class = 'class_32_stream';
	$mock->command("create $class 2");
	$mock->produce_lines($class, map { "-1\t\\N\t$_" } @records);
	for my $round (1 .. 20)
	{
		$class = "class_32_$round";
		sql(qq{CREATE SCHEMA $class;
			CREATE FOREIGN TABLE topic ($columns) SERVER broker OPTIONS (topic 'class_32_stream', format 'json');
			CREATE TABLE source (LIKE topic);
			SELECT deltaflow.create_ingest('topic', 'source', name => '$class')});
		view('v', $query);
		# one session in epochs of a random size; every other round a first part is rolled back
		sql("BEGIN; SET deltaflow.epoch_max_records = 13; SELECT deltaflow.run_once('$class'); ROLLBACK") if $round % 2;
		sql('SET deltaflow.group_cache = 64; SET deltaflow.epoch_max_records = ' . (1 + int rand 100) . "; SELECT deltaflow.run_once('$class')");
		$states{ sql(q(SELECT count(*) || md5(string_agg(s::text, ';' ORDER BY s::text COLLATE "C")) FROM v_state s)) }++;
	}
	is(join(' ', values %states), 20, 'twenty cuts, one state');
};

# The last one runs with workers; they would also be started for what the others left.
$node->safe_psql('postgres', "SET client_min_messages = error; DROP SCHEMA $_ CASCADE")
  for split /\n/, $node->safe_psql('postgres', q(SELECT nspname FROM pg_namespace WHERE nspname LIKE 'class_%'));
$node->safe_psql('postgres', 'ALTER SYSTEM SET deltaflow.enabled = on');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');

# Makes the view in a snapshot that is older than rows already stored.  An epoch that commits in between is a
# serialization failure, as with any two transactions that change one row: tried again.
sub create_in_snapshot
{
	my ($create) = @_;

	wait_for(sub {
		my $error;
		my $status = $node->psql('postgres', "SET search_path = $class, public; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM source; $create; COMMIT",
			stderr => \$error, on_error_stop => 1);

		die $error if $status != 0 && $error !~ /could not serialize access/;
		$status == 0 }, 'a view in a snapshot');
}

subtest 'class 18: a view made while rows come in misses none and counts none twice' => sub {
	set_up('class_18', 'id int, k int', partitions => 3);
	view('before', 'SELECT k, count(*) AS n, sum(id) AS s FROM source GROUP BY k');
	my $produced = 0;
	my $more = sub { $mock->produce($class, map { sprintf '{"id": %d, "k": %d}', ++$produced, $produced % 7 } 1 .. $_[0]) };

	for my $n (1 .. 6)
	{
		my $source = $n % 2 ? 'source' : 'topic';

		$more->(400);
		my $create = "SELECT deltaflow.create_view('during_$n', 'SELECT k, count(*) AS n, sum(id) AS s FROM $source GROUP BY k')";

		if ($n == 3) { create_in_snapshot($create); }
		else { sql($create); }
		$more->(400);
	}
	for my $name ('before', map { "during_$_" } 1 .. 6)
	{
		is($node->safe_psql('postgres', "SELECT deltaflow.wait('$class.$name')"), 't', "$name is complete");
		is(sql("SELECT sum(n), sum(s) FROM $name"), $produced . '|' . $produced * ($produced + 1) / 2, "$name holds every row once");
	}
	is($node->safe_psql('postgres', 'SELECT view_id, topic_partition, fill_next, fill_upto, next_offset FROM deltaflow.view_position WHERE fill_next <> fill_upto OR fill_upto > next_offset'),
		'', 'the catalog knows that all are filled');
	check_books($node, 'after all');
};

$node->stop;
done_testing();
