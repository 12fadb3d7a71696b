# Live views equal their definitions, digit for digit where the types are exact:
# every aggregate family over every type it takes, FILTER, HAVING, expressions above
# aggregates, NULL keys, -0, NaN and infinities, over a table and over the topic.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { readings => 2 });
my $node = deltaflow_node('main', "timezone = 'Europe/Paris'");

seed_random();
create_broker($node, $mock->address);
$node->safe_psql('postgres', <<'SQL');
CREATE FOREIGN TABLE readings_topic (
	k int, label text, at timestamptz, day timestamp, s smallint, i int, l bigint, n numeric, f real, d float8, b boolean, bits bit(8), span interval, cost money, ip inet
) SERVER broker OPTIONS (topic 'readings', format 'json', event_time 'at', watermark_delay '1 hour');
CREATE TABLE readings (LIKE readings_topic);
SELECT deltaflow.create_ingest('readings_topic', 'readings');
CREATE VIEW positive AS SELECT k, label AS name, at, n * 2 AS double, d FROM readings WHERE k > 0;
SQL

# name => [definition, columns compared with a tolerance]; by value: which of equal values
# (1.0 and 1.00, -0 and 0, a month and 30 days) a plain query shows is not defined
my %views = (
	counts => [ 'SELECT k, count(*), count(label) AS labels, count(*) FILTER (WHERE i > 0) AS pos, bool_and(b), bool_or(b), every(b) FROM readings GROUP BY k' ],
	sums => [ 'SELECT label, sum(s) AS s, sum(i) AS i, sum(l) AS l, sum(n) AS n, sum(span) AS span, sum(cost) AS cost, avg(s) AS a, avg(i) AS ai, avg(l) AS al, avg(n) AS an, avg(span) AS aspan FROM readings GROUP BY label' ],
	extremes => [ 'SELECT k % 3 AS g, min(s), max(i) AS mi, min(l) AS ml, max(n) AS mn, min(f) AS mf, max(d) AS md, min(label) AS a, max(label COLLATE "C") AS z, min(at) AS first, max(day) AS last, max(span) AS span, min(cost) AS cost, max(ip) AS ip FROM readings GROUP BY 1', 'by value' ],
	variances => [ 'SELECT k, variance(s) AS v1, var_pop(i) AS v2, stddev(l) AS v3, stddev_pop(n) AS v4, var_samp(n) AS v5, stddev_samp(i) AS v6, var_pop(s) AS v7 FROM readings GROUP BY k' ],
	bits => [ 'SELECT label, bit_and(bits), bit_or(bits) AS o, bit_xor(i) AS x, bit_and(l) AS a FROM readings GROUP BY 1' ],
	hours => [ q(SELECT date_bin('15 min', at, '2000-01-01') AS w, k, count(*), round(avg(n), 3) AS mean, max(i) - min(i) AS range, coalesce(sum(l), 0) / nullif(count(*), 0) AS ratio FROM readings WHERE i % 5 <> 0 GROUP BY 1, 2 HAVING count(*) > 1 OR sum(i) > 0) ],
	days => [ q(SELECT date_trunc('day', at) AS d, date_trunc('month', day) AS m, to_char(date_trunc('day', at), 'FMDay') AS name, sum(i) AS total FROM readings GROUP BY 1, 2) ],
	numbers => [ 'SELECT n, d, f, span, count(*) FROM readings GROUP BY n, d, f, span', 'by value' ],
	nested => [ 'WITH c AS (SELECT k + 1 AS k1, double FROM positive WHERE d < 50) SELECT k1, sum(double), count(*) FILTER (WHERE double > 0) AS pos FROM c GROUP BY k1' ],
	everything => [ 'SELECT count(*), sum(i), avg(n), stddev(l), min(label), bool_or(b) FROM readings' ],
	nothing => [ 'SELECT count(*), sum(i), avg(n), stddev(l), min(label), regr_count(d, d) FROM readings WHERE k > 1000000' ],
	floats => [ 'SELECT k, sum(d) AS x1, avg(d) AS x2, stddev(d) AS x3, var_pop(f) AS x4, corr(d, f) AS x5, regr_slope(d, f) AS x6, covar_pop(d, f) AS x7, sum(f) AS x8, avg(f) AS x9 FROM readings WHERE d < 1e6 GROUP BY k', 'x\d' ],
	strange_floats => [ 'SELECT label, sum(d), avg(d) AS a, max(d) AS m, min(d) AS l FROM readings WHERE d IS NULL OR d = 0 OR abs(d) >= 1e6 GROUP BY label', 'by value' ],
	on_topic => [ q(SELECT date_bin('1 hour', at, '2000-01-01') AS w, k, count(*), sum(n) AS n, avg(i) AS a, max(label) AS l FROM readings_topic GROUP BY 1, 2) ],
);

# sketches, where their extensions are installed: hll's is independent of order, tdigest's within its error
my $sketches = $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name IN ('hll', 'tdigest')") == 2;

if ($sketches)
{
	$node->safe_psql('postgres', 'CREATE EXTENSION hll; CREATE EXTENSION tdigest');
	$views{distinct_values} = [ 'SELECT k, hll_cardinality(hll_add_agg(hll_hash_integer(i))) AS n, count(*) FROM readings GROUP BY k' ];
	$views{medians} = [ 'SELECT b, tdigest_percentile(d, 100, 0.5) AS x1, tdigest_count(tdigest(d, 100)) AS n FROM readings WHERE d > -1e6 AND d < 1e6 GROUP BY b', 'x\d' ];
}

# One random record as JSON.
sub record
{
	my $maybe = sub { rand() < 0.1 ? 'null' : $_[0] };
	my $pick = sub { $_[ int rand @_ ] };
	my $at = sprintf '2024-%02d-%02d %02d:%02d:%02d.%06d+00', $pick->(3, 3, 10), 26 + int rand 5, rand 24, rand 60, rand 60, rand 1e6;

	return join ',', map { sprintf '"%s": %s', @$_ } (
		[ k => $maybe->($pick->(-3 .. 8)) ], [ label => $maybe->($pick->('"a"', '"B"', '"b"', '"é"', '""')) ],
		[ at => $maybe->(qq("$at")) ], [ day => $maybe->(sprintf '"2024-%02d-01 12:00"', 1 + rand 12) ],
		[ s => $maybe->(int(rand 200) - 100) ], [ i => $maybe->(int(rand 2e9) - 1e9) ],
		[ l => $maybe->($pick->('9223372036854775807', '-9223372036854775808', int(rand 1e15))) ],
		[ n => $maybe->($pick->('1.0', '1.00', '-0.5', '"NaN"', '"Infinity"', sprintf('%.3f', rand 1000), '1e30', '123456789.123456789')) ],
		[ f => $maybe->($pick->('0', '-0.0', sprintf('%.2f', rand 100))) ],
		[ d => $maybe->($pick->('0', '-0.0', '"NaN"', '"Infinity"', '"-Infinity"', '1e100', sprintf('%.6f', rand 100), sprintf('%.6f', rand 100), sprintf('%.6f', rand 100))) ],
		[ b => $maybe->($pick->('true', 'false')) ], [ bits => $maybe->(sprintf '"%08b"', rand 256) ],
		[ span => $maybe->($pick->('"1 month"', '"30 days"', '"00:00:01.5"')) ], [ cost => $maybe->(sprintf '"%.2f"', rand 100) ],
		[ ip => $maybe->($pick->('"10.0.0.1"', '"10.0.0.0/8"', '"::1"')) ]);
}

sub produce
{
	my ($records) = @_;

	$mock->produce('readings', map { '{' . record() . '}' } 1 .. $records);
}

# Rows on one side only, as text, floats rounded where they may be.
sub differences
{
	my ($name) = @_;
	my ($tolerant) = ($views{$name}[1]);
	my @columns = split /\n/, $node->safe_psql('postgres',
		"SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = '$name'::regclass ORDER BY attnum");
	my $cast = ($tolerant // '') eq 'by value' ? '' : '::text';
	my $row = join ', ', map { $tolerant && /^$tolerant$/ ? "round($_\::numeric, 6)::text" : "$_$cast" } @columns;

	return $node->safe_psql('postgres', <<SQL);
SELECT 'live', * FROM (SELECT $row FROM $name EXCEPT ALL SELECT $row FROM ${name}_batch) l
UNION ALL
SELECT 'batch', * FROM (SELECT $row FROM ${name}_batch EXCEPT ALL SELECT $row FROM $name) b
LIMIT 5
SQL
}

sub check_all
{
	my ($when) = @_;

	for my $name (sort keys %views)
	{
		is($node->safe_psql('postgres', "SELECT deltaflow.wait('$name')"), 't', "$when: $name has caught up")
			or BAIL_OUT($node->safe_psql('postgres', 'SELECT name, state, last_error, hint FROM deltaflow.status'));
		if ($name eq 'medians')
		{
			is($node->safe_psql('postgres', <<'SQL'), '', "$when: medians are as near as the sketch is exact");
SELECT * FROM medians l FULL JOIN medians_batch b ON coalesce(l.b::text, '') = coalesce(b.b::text, '') WHERE (l.n = b.n AND abs(l.x1 - b.x1) < 5) IS NOT TRUE
SQL
			next;
		}
		is(differences($name), '', "$when: $name equals its definition");
	}
}

# half of the views before any row, the others filled from what is there
my @names = sort keys %views;
my $half = @names / 2;

$node->safe_psql('postgres', "SELECT deltaflow.create_view('$_', \$def\$$views{$_}[0]\$def\$)") for @names[ 0 .. $half - 1 ];
produce(400);
$node->safe_psql('postgres', "SELECT deltaflow.create_view('$_', \$def\$$views{$_}[0]\$def\$)") for @names[ $half .. $#names ];
check_all('at first');
for my $round (1 .. 5)
{
	produce(int rand 150);
	$node->safe_psql('postgres', "SELECT deltaflow.wait('readings')");
}
check_all('after more');
kill_worker($node, 'readings', 'KILL');
wait_for(sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }, 'the server is up again');
produce(200);
check_all('after a kill');

$node->stop;
done_testing();
