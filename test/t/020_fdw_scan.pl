# SELECT from topics: what is read and what is not, records that are not rows,
# whose user mapping counts, a broker that is away, cancel.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use Test::More;
use Time::HiRes qw(time);

my $mock = Deltaflow::Mock->start(topics => { orders => 3, empty => 2, mixed => 1, big => 1 });
my $node = deltaflow_node('scan');

create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE orders (id int, name text, nested text OPTIONS (field 'a.b'),
		part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'),
		arrived timestamptz OPTIONS (metadata 'timestamp'), k text OPTIONS (metadata 'key'),
		h jsonb OPTIONS (metadata 'headers'), t text OPTIONS (metadata 'topic'))
	SERVER broker OPTIONS (topic 'orders');
	CREATE FOREIGN TABLE empty (id int) SERVER broker OPTIONS (topic 'empty');
	CREATE FOREIGN TABLE missing (id int) SERVER broker OPTIONS (topic 'missing_topic');
	CREATE FOREIGN TABLE big (v text, off bigint OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic 'big', format 'raw');
});

sub query { return $node->safe_psql('postgres', $_[0]); }

# What a failing or warning query says.
sub complaints
{
	my ($query) = @_;
	my ($out, $error);

	$node->psql('postgres', $query, stdout => \$out, stderr => \$error);
	return wantarray ? ($error, $out) : $error;
}

# EXPLAIN ANALYZE's line of that name.
sub explained
{
	my ($query, $name) = @_;
	my $plan = query("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $query");

	return $plan =~ /^\s*\Q$name\E: (.*)$/m ? $1 : undef;
}

is(query('SELECT count(*) FROM empty'), 0, 'an empty topic has no rows');

for my $part (0 .. 2)
{
	$mock->produce_lines('orders', map { qq($part\tk$_\t{"id": $_, "name": "n$_", "a": {"b": "x$_"}}\tsource=test) } 1 .. 100);
}

# what a row is
is(query('SELECT id, name, nested, part, off, k, h, t, arrived > now() - interval $$1 hour$$ FROM orders WHERE part = 1 AND off = 4'),
	'5|n5|x5|1|4|k5|[["source", "test"]]|orders|t', 'columns, nested field, and all metadata');
is(query('SELECT count(*), count(DISTINCT (part, off)), sum(id) FROM orders'), '300|300|15150', 'every record once');
is(query('SELECT part, count(*), min(off), max(off) FROM orders GROUP BY 1 ORDER BY 1'),
	"0|100|0|99\n1|100|0|99\n2|100|0|99", 'in every partition');

# seeks
is(explained('SELECT * FROM orders WHERE part = 2', 'Partitions'), '1 of 3', 'a condition on partition reads that one');
is(explained('SELECT * FROM orders WHERE part = 2 AND off BETWEEN 10 AND 14', 'Offsets'), '2: 10 to 14', 'offsets become a range');
is(explained('SELECT * FROM orders WHERE part = 2 AND off BETWEEN 10 AND 14', 'Records Read'), 5, 'and no more is read');
is(explained('SELECT * FROM orders WHERE part = 0 AND off >= 98 OR part = 1 AND off < 2', 'Offsets'), '0: 98 to 99, 1: 0 to 1', 'positions per partition');
is(explained('SELECT * FROM orders WHERE off > 1000', 'Partitions'), '0 of 3', 'offsets behind the end read nothing');
is(query('SELECT part, off FROM orders WHERE part IN (0, 2) AND off IN (7, 9) ORDER BY 1, 2'), "0|7\n0|9\n2|7\n2|9", 'IN is exact');
is(query('SELECT count(*) FROM orders WHERE off < (SELECT 10) AND part = (SELECT 1)'), 10, 'results of subqueries seek');
is(query("SET TimeZone = 'Asia/Tokyo'; SELECT (SELECT count(*) FROM orders WHERE arrived $_->[0]), (SELECT count(*) FROM orders WHERE (arrived $_->[0]) IS TRUE OR id < 0)"),
	"$_->[1]|$_->[1]", "arrived $_->[0]")
  for [ "> date '5874897-12-31'", 0 ], [ "> timestamp '4714-11-24 00:00 BC'", 300 ], [ "= ANY (ARRAY[date '5874897-12-31', NULL])", 0 ],
  [ "> date '-infinity'", 300 ], [ ">= timestamp 'infinity'", 0 ], [ "<= date '5874897-12-31'", 300 ];
is(explained('SELECT * FROM orders WHERE off < (SELECT 10) AND part = (SELECT 1)', 'Records Read'), 10, 'and read no more');
is(query(q{SELECT count(*) FROM orders WHERE arrived > now() - interval '1 hour'}), 300, 'a broker that knows no timestamps is not believed');
is(query(q{SELECT count(*) FROM orders WHERE arrived > now() + interval '1 hour'}), 0, 'nor needed');

# rescans read the same again, with other values elsewhere
is(query('SELECT g, n FROM generate_series(1, 3) g, LATERAL (SELECT count(*) n FROM orders WHERE part = 0 AND off >= 97 + g OFFSET 0) x'),
	"1|2\n2|1\n3|0", 'a lateral scan seeks for each outer row');
is(query('SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
	SELECT count(*) FROM generate_series(1, 3) g LEFT JOIN orders ON id = g AND part = 0'), 3, 'a rescan reads it again');
is(query('SELECT count(*) FROM orders a JOIN orders b USING (part, off)'), 300, 'a topic joins itself');
is(query('PREPARE p(int, bigint[]) AS SELECT count(*) FROM orders WHERE part = $1 AND off = ANY ($2);
	SET plan_cache_mode = force_generic_plan; EXECUTE p(1, \'{1,2,99,100}\'); EXECUTE p(NULL, \'{1}\'); EXECUTE p(2, NULL)'), "3\n0\n0", 'parameters seek');
is(query('BEGIN; DECLARE c CURSOR FOR SELECT off FROM orders WHERE part = 0; FETCH 2 FROM c; FETCH 1 FROM c; COMMIT'), "0\n1\n2", 'a cursor reads on');

# option start
query(q{ALTER FOREIGN TABLE orders OPTIONS (ADD start '{"0": 90, "2": 200}')});
is(query('SELECT part, count(*) FROM orders GROUP BY 1 ORDER BY 1'), "0|10\n1|100", 'start positions');
query(q{ALTER FOREIGN TABLE orders OPTIONS (SET start 'latest')});
is(query('SELECT count(*) FROM orders'), 300, 'start latest does not concern a SELECT');
query(q{ALTER FOREIGN TABLE orders OPTIONS (DROP start)});

# LIMIT stops early: megabytes are there, a few records are taken
$mock->produce_lines('big', map { "0\t\\N\t" . ('x' x 1000) } 1 .. 4000);
is(explained('SELECT * FROM big LIMIT 3', 'Records Read'), 3, 'LIMIT reads no more than it needs');

# the end is fixed when the scan starts
{
	my $session = $node->background_psql('postgres');

	$session->query_safe('BEGIN; DECLARE c CURSOR FOR SELECT off FROM big; ');
	$session->query_safe('FETCH 1 FROM c');
	$mock->produce_to('big', 0, undef, 'later');
	is($session->query_safe('FETCH ALL FROM c') =~ tr/\n//, 3998, 'what comes during a scan is not read');
	$session->quit;
}
is(query('SELECT count(*) FROM big'), 4001, 'but by the next one');

# records that are not rows; only columns that a query needs are decoded
query(q{
	CREATE TYPE mood AS ENUM ('sad', 'ok');
	CREATE FUNCTION picky(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF $1 = 13 THEN RAISE 'thirteen'; END IF; RETURN true; END $$;
	CREATE FOREIGN TABLE mixed (id int CHECK (id <> 4), m mood, must text NOT NULL, n int CHECK (picky(n)),
		off bigint OPTIONS (metadata 'offset')) SERVER broker OPTIONS (topic 'mixed');
	CREATE FOREIGN TABLE mixed_raw (v text) SERVER broker OPTIONS (topic 'mixed', format 'raw');
});
my @bad = ('{"id": 1', '{"id": "one", "must": "m"}', '{"id": 2, "must": "m", "m": "furious"}', '{"id": 3}',
	'{"id": 4, "must": "m"}', '{"id": 5, "must": "m", "n": 13}', undef);
$mock->produce_to('mixed', 0, undef, $_) for '{"id": 0, "must": "m", "m": "ok"}', @bad, '{"id": 9, "must": "m", "m": "sad"}';

my ($warnings, $rows) = complaints('SELECT off, id, m FROM mixed');
is($rows, "0|0|ok\n8|9|sad", 'records that are not rows are left out');
is(() = $warnings =~ /^(?:psql:.*)?WARNING:/mg, 6, 'with a few warnings and a count');
like($warnings, qr/could not decode record of topic "mixed"\s+DETAIL:  Partition 0, offset 1: .*json/, 'which say where and why');
like($warnings, qr/offset 2: invalid input syntax for type integer/, 'a wrong number');
like($warnings, qr/offset 3: invalid input value for enum/, 'an enum: its input function threw');
like($warnings, qr/violates a constraint\s+DETAIL:  Partition 0, offset 4: null value in column "must"/, 'NOT NULL');
like($warnings, qr/7 records of topic "mixed" could not be decoded and were left out/, 'the count');
is(query('SET client_min_messages = error; SELECT count(*) FROM mixed_raw'), 9, 'they are there in raw format');
is(query('SET client_min_messages = error; SELECT count(*) FROM mixed'), 3, 'a column that is not needed is not decoded');
is(query('SET client_min_messages = error; BEGIN; SELECT count(m) FROM mixed; SAVEPOINT s; SELECT count(m) FROM mixed; COMMIT'), "2\n2", 'the transaction goes on after errors that were caught');

query(q{ALTER FOREIGN TABLE mixed OPTIONS (ADD on_error 'stop')});
like(scalar complaints('SELECT off, id, m FROM mixed'), qr/ERROR:  could not decode record of topic "mixed"\s+DETAIL:  Partition 0, offset 1:.*\s+HINT:/, 'on_error stop ends the query');
is(query('SELECT id FROM mixed LIMIT 1'), 0, 'unless it does not get there');
query(q{ALTER FOREIGN TABLE mixed OPTIONS (SET on_error 'skip')});
is(explained('SELECT * FROM mixed', 'Records Undecodable'), 7, 'EXPLAIN counts them');

# a view reads with its owner's mapping
query(q{
	CREATE ROLE owner; CREATE ROLE reader;
	CREATE USER MAPPING FOR owner SERVER broker OPTIONS ("sasl.oauthbearer.scope" 'x');
	CREATE SERVER locked FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" '127.0.0.1:1', "security.protocol" 'sasl_plaintext', "sasl.mechanism" 'PLAIN');
	CREATE USER MAPPING FOR owner SERVER locked OPTIONS ("sasl.username" 'u', "sasl.password" 'p');
	CREATE FOREIGN TABLE locked (id int) SERVER locked OPTIONS (topic 'orders');
	ALTER FOREIGN TABLE locked OWNER TO owner;
	GRANT CREATE ON SCHEMA public TO owner;
	SET ROLE owner; CREATE VIEW through AS SELECT * FROM locked; GRANT SELECT ON through TO reader;
});
like(scalar complaints(q{SET deltaflow.broker_timeout = '100 ms'; SELECT * FROM locked}), qr/user name or password is missing/, 'without a mapping there is no password');
like(scalar complaints(q{SET deltaflow.broker_timeout = '100 ms'; SET ROLE reader; SELECT * FROM through}), qr/could not find the partitions/, 'a view reads with the mapping of its owner');

# what is wrong
like(scalar complaints(q{SET deltaflow.broker_timeout = '5 s'; SELECT * FROM missing WHERE false}), qr/^$/, 'a scan that never starts asks nothing');
{
	my $started = time;
	my $error = complaints(q{SET statement_timeout = '300 ms'; SELECT count(*) FROM orders a, orders b, orders c, orders d WHERE a.id + b.id + c.id + d.id = 0});

	like($error, qr/canceling statement due to statement timeout/, 'a scan is cancelled');
	cmp_ok(time - $started, '<', 10, 'soon');
}
$mock->command('down 0');
like(scalar complaints(q{SET deltaflow.broker_timeout = '500 ms'; SELECT * FROM orders}), qr/ERROR:  could not .*\s+DETAIL:.*\s+HINT:/, 'a broker that is away is an error with a hint');
like(scalar complaints(q{SET statement_timeout = '300 ms'; SELECT * FROM orders}), qr/canceling statement/, 'waiting for it is cancelled');
$mock->command('up 0');
is(query('SELECT count(*) FROM orders'), 300, 'and when it is back all is well');

# an error in mid-scan leaves no client behind
my $threads = query(q{SET client_min_messages = error;
	DO $$ BEGIN FOR i IN 1 .. 5 LOOP BEGIN PERFORM 1 / (id - 50) FROM orders; EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$;
	SELECT count(*) FROM pg_ls_dir('/proc/' || pg_backend_pid() || '/task')});
is($threads, 1, 'no thread of the client is left after errors');

$node->stop;
done_testing();
