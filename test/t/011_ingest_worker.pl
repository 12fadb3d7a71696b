# The same epochs in a worker: bad records in transactions of their own, errors that
# pass, tables that change under it, views that come and go, a broker that is away.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => { map { $_ => 2 } qw(orders changing timed replaced trouble many kappa trimmed) });
my $node = deltaflow_node('main');

create_broker($node, $mock->address);
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR PUBLIC SERVER broker');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }

sub topic
{
	my ($name, $columns, $options) = @_;

	sql("CREATE FOREIGN TABLE ${name}_topic ($columns) SERVER broker OPTIONS (topic '$name', format 'json'" . ($options // '') . ')');
}

sub caught_up
{
	my ($name, $what) = @_;

	is(sql("SELECT deltaflow.wait('$name')"), 't', $what);
}

### bad records of every kind between good ones
topic('orders', 'id int, customer int, total numeric');
sql('CREATE TABLE customers (id int PRIMARY KEY)', 'INSERT INTO customers SELECT generate_series(0, 9)',
	'CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers DEFERRABLE INITIALLY DEFERRED, total numeric(5,2) CHECK (total >= 0))',
	"SELECT deltaflow.create_ingest('orders_topic', 'orders')",
	q{SELECT deltaflow.create_view('per_customer', 'SELECT customer, count(*) AS n, sum(total) AS total FROM orders GROUP BY 1')});
my ($good, $bad) = (0, 0);
my @lines;

for my $i (1 .. 3000)
{
	my ($id, $customer, $total) = ($i, $i % 10, '1.50');
	my $kind = $i % 97;

	$id = 1 if $kind == 10 && $i > 1;
	$customer = 77 if $kind == 20;
	$total = '-1' if $kind == 30;
	$total = '123456' if $kind == 40;
	$total = '"x"' if $kind == 50;
	($kind == 10 || $kind == 20 || $kind == 30 || $kind == 40 || $kind == 50) ? $bad++ : $good++;
	push @lines, sprintf("%d\tk\t{\"id\": %d, \"customer\": %d, \"total\": %s}", $i % 2, $id, $customer, $total);
}
$mock->produce_lines('orders', @lines);
caught_up('orders', 'the worker gets through bad records');
is(sql('SELECT count(*) FROM orders'), $good, 'good ones are stored');
is(sql("SELECT count(*) FROM deltaflow.dead_letters WHERE name = 'orders'"), $bad, 'bad ones are dead letters');
is(sql('SELECT sum(n) FROM per_customer'), $good, 'the view has the good ones');
check_books($node, 'after bad records');
check_same($node, 'per_customer');

### a table that changes while it is filled
topic('changing', 'id int, a text, b text');
sql('CREATE TABLE changing (id int, a text)', "SELECT deltaflow.create_ingest('changing_topic', 'changing')");
$mock->produce('changing', '{"id": 1, "a": "x", "b": "y"}');
caught_up('changing', 'before the change');
sql('ALTER TABLE changing ADD COLUMN b text, ADD COLUMN c int DEFAULT 5');
$mock->produce('changing', '{"id": 2, "a": "x", "b": "y"}');
caught_up('changing', 'after columns were added');
sql('ALTER TABLE changing DROP COLUMN a', 'ALTER TABLE changing ALTER COLUMN id TYPE bigint', 'CREATE INDEX ON changing (id)');
$mock->produce('changing', '{"id": 3, "a": "x", "b": "y"}');
caught_up('changing', 'after one was dropped and another changed its type');
sql('ALTER TABLE changing RENAME TO changed', 'CREATE ROLE other', 'GRANT SELECT ON changing_topic TO other', 'GRANT CREATE, USAGE ON SCHEMA public TO other', 'ALTER TABLE changed OWNER TO other');
$mock->produce('changing', '{"id": 4, "a": "x", "b": "y"}');
caught_up('changing', 'after it was renamed and given away');
is(sql('SELECT id, b, c FROM changed ORDER BY id'), "1||5\n2|y|5\n3|y|5\n4|y|5", 'every row has the columns of its time');
sql('ALTER TABLE changed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
$mock->produce('changing', '{"id": 5, "a": "x", "b": "y"}');
wait_for_rows($node, "SELECT last_error, hint FROM deltaflow.status WHERE name = 'changing'",
	'cannot ingest into table "changed": row-level security applies to its owner|ALTER TABLE changed NO FORCE ROW LEVEL SECURITY.', 'policies that its owner is under are not passed by');
sql('ALTER TABLE changed NO FORCE ROW LEVEL SECURITY');
caught_up('changing', 'once they are for others only');
is(sql('SELECT count(*) FROM changed WHERE id = 5'), 1, 'with nothing lost');
sql('DROP TABLE changed');
is(sql("SELECT count(*) FROM deltaflow.status WHERE name = 'changing'"), 0, 'dropping the table ends the ingest');

### the time of a row is that of its epoch, not that at which the worker began
topic('timed', 'id int');
sql('CREATE TABLE timed (id int, stored_at timestamptz DEFAULT now())', "SELECT deltaflow.create_ingest('timed_topic', 'timed')");
$mock->produce('timed', '{"id": 1}');
caught_up('timed', 'the first row');
my $first_stored = sql('SELECT clock_timestamp()');
$mock->produce('timed', qq({"id": $_})), caught_up('timed', "row $_") for 2, 3;
is(sql("SELECT stored_at BETWEEN '$first_stored' AND clock_timestamp() FROM timed WHERE id = 3"), 't', 'now() is the time of the epoch');

### a function that is replaced counts at once, in a filter as in a default
topic('replaced', 'id int');
sql(q{CREATE FUNCTION wanted(id int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT id < 10'},
	q{CREATE FUNCTION mark() RETURNS text LANGUAGE sql STABLE AS $$SELECT 'old'$$},
	'CREATE TABLE replaced (id int, mark text DEFAULT mark())', "SELECT deltaflow.create_ingest('replaced_topic', 'replaced', filter => 'wanted(id)')");
$mock->produce('replaced', '{"id": 1}', '{"id": 11}');
caught_up('replaced', 'before functions were replaced');
sql(q{CREATE OR REPLACE FUNCTION wanted(id int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT id >= 10'},
	q{CREATE OR REPLACE FUNCTION mark() RETURNS text LANGUAGE sql STABLE AS $$SELECT 'new'$$});
$mock->produce('replaced', '{"id": 2}', '{"id": 12}');
caught_up('replaced', 'after it');
is(sql('SELECT id, mark FROM replaced ORDER BY id'), "1|old\n12|new", 'each row by the functions of its time');

### trouble that passes
topic('trouble', 'id int');
sql('CREATE TABLE trouble (id int)', 'CREATE TABLE switch (broken boolean)', 'INSERT INTO switch VALUES (true)',
	q{CREATE FUNCTION may_fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	    IF (SELECT broken FROM public.switch) THEN RAISE EXCEPTION 'no space' USING ERRCODE = 'disk_full'; END IF; RETURN NEW; END $$},
	'CREATE TRIGGER may_fail BEFORE INSERT ON trouble FOR EACH ROW EXECUTE FUNCTION may_fail()',
	"SELECT deltaflow.create_ingest('trouble_topic', 'trouble')");
$mock->produce('trouble', map { qq({"id": $_}) } 1 .. 20);
wait_for_rows($node, "SELECT state, last_error FROM deltaflow.status WHERE name = 'trouble'", 'running|no space', 'trouble is shown while it is tried again');
sql('UPDATE switch SET broken = false');
caught_up('trouble', 'and passes');
is(sql("SELECT count(*), (SELECT count(*) FROM deltaflow.dead_letters WHERE name = 'trouble') FROM trouble"), '20|0', 'without a dead letter');
wait_for_rows($node, "SELECT last_error IS NULL FROM deltaflow.status WHERE name = 'trouble'", 't', 'nor a trace');

### views that come while records arrive
topic('many', 'id int, g int');
sql('CREATE TABLE many (id int PRIMARY KEY, g int)', "SELECT deltaflow.create_ingest('many_topic', 'many')");
my $next = 0;
my $more = sub { $mock->produce('many', map { $next++; sprintf('{"id": %d, "g": %d}', $next, $next % 7) } 1 .. $_[0]) };

for my $v (1 .. 4)
{
	$more->(400);
	sql("SELECT deltaflow.create_view('many_$v', 'SELECT g, count(*) AS n, sum(id) AS s FROM many GROUP BY 1')");
	$more->(400);
}
sql('DROP VIEW many_2');
$more->(100);
caught_up('many', 'many views');
for my $v (1, 3, 4)
{
	caught_up("many_$v", "view $v has caught up");
	is(sql("SELECT sum(n), sum(s) FROM many_$v"), $next . '|' . $next * ($next + 1) / 2, "and has every row once");
	check_same($node, "many_$v");
}

# old rows are folded in slices between the new ones, and a worker that ends meanwhile leaves off where it was
sql('INSERT INTO many SELECT i, i % 7 FROM generate_series(1000001, 1250000) i');
sql("ALTER SYSTEM SET deltaflow.epoch_interval = '5 ms'", 'SELECT pg_reload_conf()');
sql(q{SELECT deltaflow.create_view('many_old', 'SELECT g, count(*) AS n, min(id) AS low FROM many GROUP BY 1')});
for my $step (1 .. 6)
{
	$more->(50);
	kill_worker($node, 'many', 'TERM') if $step % 3 == 0;
}
caught_up('many_old', 'a view over many old rows');
is(sql('SELECT sum(n), count(*), min(low) FROM many_old'), (250_000 + $next) . '|7|1', 'has each of them once');
check_same($node, 'many_old');
sql('ALTER SYSTEM RESET deltaflow.epoch_interval', 'SELECT pg_reload_conf()', 'DROP VIEW many_old', 'DELETE FROM many WHERE id > 1000000');

### views over the topic itself
topic('kappa', 'id int, g int NOT NULL');
$mock->produce('kappa', map { sprintf('{"id": %d, "g": %d}', $_, $_ % 5) } 1 .. 300);
sql("SELECT deltaflow.create_view('kappa_1', 'SELECT g, count(*) AS n FROM kappa_topic GROUP BY 1')");
$mock->produce('kappa', '{"id": 1}', map { sprintf('{"id": %d, "g": %d}', $_, $_ % 5) } 1 .. 300);
caught_up('kappa_1', 'a view over the topic');
sql("SELECT deltaflow.create_view('kappa_2', 'SELECT count(*) AS n, sum(id) AS s FROM kappa_topic WHERE g > 0')");
$mock->produce('kappa', map { sprintf('{"id": %d, "g": %d}', $_, $_ % 5) } 1 .. 10);
caught_up('kappa_2', 'and a second one, made later');
caught_up('kappa_1', 'with the first one');
is(sql('SELECT sum(n) FROM kappa_1'), 610, 'the first has every row');
is(sql('SELECT n FROM kappa_2'), 488, 'and so has the second');
check_same($node, $_) for 'kappa_1', 'kappa_2';
check_books($node, 'of views over a topic');
is(sql("SELECT name, sum(consumed), sum(applied), sum(dead), sum(filtered) FROM deltaflow.accounting WHERE name LIKE '%kappa%' AND name NOT LIKE '%topic%' GROUP BY 1 ORDER BY 1"),
	"kappa_1|611|610|1|0\nkappa_2|611|488|1|122", 'their books begin at the topic\'s beginning');

### the broker goes away and comes back
$mock->command('down 0');
sql("SELECT deltaflow.create_view('many_5', 'SELECT count(*) AS n FROM many')");
wait_for_rows($node, 'SELECT n FROM many_5', $next, 'a view is filled without the broker');
$mock->command('up 0');
$more->(50);
caught_up('many', 'the worker goes on when the broker is back');
is(sql('SELECT n FROM many_5'), $next, 'with nothing lost');

### what the log no longer has
topic('trimmed', 'id int, pad text');
sql('CREATE TABLE trimmed (id int, pad text)', q{SELECT deltaflow.create_ingest('trimmed_topic', 'trimmed', start => '{"0": 0, "1": 0}')}, "SELECT deltaflow.pause('trimmed')");
for my $i (1 .. 12)
{
	$mock->produce_lines('trimmed', map { sprintf("0\tk\t{\"id\": %d, \"pad\": \"%s\"}", $i * 1000 + $_, 'x' x 9000) } 1 .. 100);
}
my %ends = $mock->ends('trimmed');
my $low = $ends{0}->[0];

cmp_ok($low, '>', 0, 'the mock has trimmed the log');
sql("SELECT deltaflow.resume('trimmed')");
wait_for_rows($node, "SELECT state FROM deltaflow.status WHERE name = 'trimmed'", 'paused', 'lost offsets pause the ingest');
like(sql("SELECT last_error, hint FROM deltaflow.status WHERE name = 'trimmed'"),
	qr/offsets \[0, $low\) of partition 0 were removed.*set_position\('trimmed', 0, $low\)/, 'with range and next step');
sql("SELECT deltaflow.set_position('trimmed', 0, $low)", "SELECT deltaflow.resume('trimmed')");
caught_up('trimmed', 'and it goes on from there');
is(sql('SELECT count(*) FROM trimmed'), $ends{0}->[1] - $low, 'with what is left');

check_books($node, 'at the end');
done_testing();
