# run_once: from records to rows and dead letters, in a server that does not even
# preload the library.  Every way in which one record can be bad costs that record
# and no other, and the books say so.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $mock = Deltaflow::Mock->start(topics => {
	few => 4,
	map { $_ => 2 } qw(plain stages parts skip stop wait filter cuts fold late) });
my $node = PostgreSQL::Test::Cluster->new('main');

$node->init;
$node->append_conf('postgresql.conf', "log_min_messages = warning\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION deltaflow');
create_broker($node, $mock->address);
$node->safe_psql('postgres', 'CREATE USER MAPPING FOR PUBLIC SERVER broker');

sub sql { return $node->safe_psql('postgres', join(';', @_)); }

sub topic
{
	my ($name, $columns, $options) = @_;

	sql("CREATE FOREIGN TABLE ${name}_topic ($columns) SERVER broker OPTIONS (topic '$name', format 'json'" . ($options // '') . ')');
}

sub books
{
	my ($name) = @_;

	return sql("SELECT sum(consumed), sum(applied), sum(dead), sum(filtered), sum(redelivered) FROM deltaflow.accounting WHERE name = '$name'");
}

# one per record: [partition, value]
sub produce { my ($topic, @records) = @_; $mock->produce_to($topic, $_->[0], 'k', $_->[1], h => 'x') for @records; }

### plain: rows in, nothing twice
topic('plain', "id int NOT NULL, note text, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset')");
sql('CREATE TABLE plain (LIKE plain_topic)', "SELECT deltaflow.create_ingest('plain_topic', 'plain')");
$mock->produce('plain', map { qq({"id": $_, "note": "n$_"}) } 1 .. 500);
is(sql("SELECT deltaflow.run_once('plain')"), 500, 'everything there is taken');
is(sql('SELECT count(*), count(DISTINCT id), sum(id) FROM plain'), '500|500|125250', 'and stored once');
is(sql("SELECT deltaflow.run_once('plain')"), 0, 'then there is nothing more');
$mock->produce('plain', '{"id": 501}');
is(sql("SELECT deltaflow.run_once('plain')"), 1, 'a further call goes on');
is(books('plain'), '501|501|0|0|0', 'books of the plain ingest');
is(sql("SELECT count(*) FROM deltaflow.epochs WHERE name = 'plain' AND records > 0 AND next_offset - first_offset <> records"), 0, 'the epoch log has the offsets');
is(sql('BEGIN', "SELECT deltaflow.run_once('plain')", 'ROLLBACK', 'SELECT count(*) FROM plain'), "0\n501", 'in a transaction that is rolled back nothing happened');

### what is in several partitions is taken together, as far as it fits into an epoch
topic('few', 'id int');
sql('CREATE TABLE few (LIKE few_topic)', "SELECT deltaflow.create_ingest('few_topic', 'few')");
my @few = map { sprintf "%d\tk\t{\"id\": %d}", $_ % 4, $_ } 1 .. 12;
my $epochs = "SELECT count(DISTINCT epoch) FROM deltaflow.epochs WHERE name = 'few' AND records > 0";

for my $round (1 .. 5)
{
	$mock->produce_lines('few', @few);
	is(sql("SET deltaflow.epoch_interval = '10 s'", "SELECT deltaflow.run_once('few')", $epochs), "12\n$round", "a few records in each of four partitions are one epoch, round $round");
}
$mock->produce_lines('few', @few);
is(sql("SET deltaflow.epoch_interval = '10 s'", 'SET deltaflow.epoch_max_records = 5', "SELECT deltaflow.run_once('few')", $epochs), "12\n8", 'where they do not fit, several');

### every stage at which a record can be bad
topic('stages', 'id bigint NOT NULL, amount numeric CHECK (amount >= 0), kind text, ref int, big bigint');
sql('CREATE TABLE refs (id int PRIMARY KEY)', 'INSERT INTO refs VALUES (1)',
	q{CREATE TABLE stages (id bigint PRIMARY KEY, amount numeric(6,2) CHECK (amount < 100), kind text NOT NULL,
	  ref int REFERENCES refs DEFERRABLE INITIALLY DEFERRED, big int, total numeric GENERATED ALWAYS AS (amount * 2) STORED)},
	q{CREATE FUNCTION grumble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	    IF NEW.kind = 'raise' THEN RAISE EXCEPTION 'no such kind' USING DETAIL = 'It is raised.'; END IF; RETURN NEW; END $$},
	'CREATE TRIGGER grumble AFTER INSERT ON stages FOR EACH ROW EXECUTE FUNCTION grumble()',
	"SELECT deltaflow.create_ingest('stages_topic', 'stages', filter => '10 / (ref + 5) > 0')");
my @bad = (
	[ '{"id": 1',                                             'decode', '22P02', undef ],
	[ '{"id": "one", "kind": "a", "ref": 1}',                 'decode', '22P02', 'id' ],
	[ '{"kind": "a", "ref": 1}',                              'check',  '23502', 'id' ],
	[ '{"id": 2, "amount": -1, "kind": "a", "ref": 1}',       'check',  '23514', undef ],
	[ '{"id": 3, "amount": 1, "kind": "a", "ref": -5}',       'check',  '22012', undef ],
	[ '{"id": 4, "big": 5000000000, "kind": "a", "ref": 1}',  'store',  '22003', undef ],
	[ '{"id": 5, "amount": 500, "kind": "a", "ref": 1}',      'store',  '23514', undef ],
	[ '{"id": 6, "amount": 5, "ref": 1}',                     'store',  '23502', 'kind' ],
	[ '{"id": 100, "amount": 5, "kind": "a", "ref": 1}',      'store',  '23505', undef ],
	[ '{"id": 7, "amount": 5, "kind": "raise", "ref": 1}',    'store',  'P0001', undef ],
	[ '{"id": 8, "amount": 5, "kind": "a", "ref": 2}',        'store',  '23503', undef ]);

$mock->produce_to('stages', 0, 'k', qq({"id": $_, "amount": 1.5, "kind": "good", "ref": 1})) for 100 .. 110;
for my $i (0 .. $#bad)
{
	produce('stages', [ 0, $bad[$i]->[0] ], [ 0, sprintf('{"id": %d, "amount": 2, "kind": "good", "ref": 1}', 200 + $i) ]);
}
is(sql("SELECT deltaflow.run_once('stages')"), 11 + 2 * @bad, 'bad records are taken too');
is(sql("SELECT count(*) FROM stages WHERE kind = 'good' AND total = amount * 2"), 11 + @bad, 'every good record is stored');
my @dead = split /\n/, sql("SELECT convert_from(value, 'UTF8'), stage, sqlstate, column_name FROM deltaflow.dead_letters WHERE name = 'stages' ORDER BY record_offset");

is(scalar(@dead), scalar(@bad), 'and each bad one is a dead letter');
is($dead[$_], join('|', @{ $bad[$_] }[ 0 .. 2 ], $bad[$_]->[3] // ''), "dead letter $_: $bad[$_]->[1] $bad[$_]->[2]") for 0 .. $#bad;
is(sql("SELECT DISTINCT convert_from(key, 'UTF8'), headers, topic, partition FROM deltaflow.dead_letters WHERE name = 'stages'"),
	'k|[["h", "x"]]|stages|0', 'with key, headers and position');
is(sql("SELECT message, detail FROM deltaflow.dead_letters WHERE sqlstate = 'P0001'"), 'no such kind|It is raised.', 'and the reason in full');
is(books('stages'), '33|22|11|0|0', 'books of the bad records');

### partitions, triggers, defaults
topic('parts', 'id int, day date, note text');
sql('CREATE TABLE parts (note text, id int, day date, at timestamptz DEFAULT now(), n bigint GENERATED ALWAYS AS IDENTITY, len int GENERATED ALWAYS AS (length(note)) STORED) PARTITION BY RANGE (day)',
	"CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
	'CREATE TABLE parts_2 (len int, n bigint NOT NULL, day date, id int, gone int, note text, at timestamptz)',
	'ALTER TABLE parts_2 DROP COLUMN gone, DROP COLUMN len',
	'ALTER TABLE parts_2 ADD COLUMN len int GENERATED ALWAYS AS (length(note)) STORED',
	"ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')",
	q{CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	    IF NEW.note = 'skip' THEN RETURN NULL; END IF; NEW.note := upper(NEW.note); RETURN NEW; END $$},
	'CREATE TRIGGER change BEFORE INSERT ON parts_2 FOR EACH ROW EXECUTE FUNCTION change()',
	"SELECT deltaflow.create_ingest('parts_topic', 'parts')",
	q{SELECT deltaflow.create_view('notes', 'SELECT note, count(*) AS n, sum(len) AS len FROM parts GROUP BY 1')});
produce('parts', [ 0, '{"id": 1, "day": "2024-01-05", "note": "ab"}' ], [ 0, '{"id": 2, "day": "2024-02-05", "note": "cde"}' ],
	[ 0, '{"id": 3, "day": "2024-02-06", "note": "skip"}' ], [ 0, '{"id": 4, "day": "2025-01-01", "note": "x"}' ],
	[ 1, '{"id": 5, "day": "2024-01-06", "note": "ab"}' ]);
is(sql("SELECT deltaflow.run_once('parts')"), 5, 'into a partitioned table');
is(sql('SELECT id, tableoid::regclass, note, len, at IS NOT NULL, n IS NOT NULL FROM parts ORDER BY id'),
	"1|parts_1|ab|2|t|t\n2|parts_2|CDE|3|t|t\n5|parts_1|ab|2|t|t", 'routed, with triggers, defaults and generated columns');
is(books('parts'), '5|3|1|1|0', 'a row without a partition is dead, one skipped by a trigger filtered');
is(sql('SELECT * FROM notes ORDER BY 1'), "CDE|1|3\nab|2|4", 'views see the rows as stored');
is(sql("SELECT count(*) FROM deltaflow.reconcile('notes')"), 0, 'and equal the batch answer');

### filter
topic('filter', 'id int, kind int');
sql('CREATE TABLE filtered (id int)', "SELECT deltaflow.create_ingest('filter_topic', 'filtered', filter => 'kind = 2')");
produce('filter', map { [ $_ % 2, sprintf('{"id": %d, "kind": %d}', $_, $_ % 4) ] } 1 .. 20);
is(sql("SELECT deltaflow.run_once('filtered')"), 20, 'a filtered ingest takes all');
is(sql('SELECT count(*), min(id % 4), max(id % 4) FROM filtered'), '5|2|2', 'stores some');
is(books('filtered'), '20|5|0|15|0', 'and counts the others as filtered');

### on_error
topic('skip', 'id int', ", on_error 'skip'");
topic('stop', 'id int', ", on_error 'stop'");
for my $name ('skip', 'stop')
{
	sql("CREATE TABLE $name (id int PRIMARY KEY)", "SELECT deltaflow.create_ingest('${name}_topic', '$name')");
	produce($name, [ 0, '{"id": 1}' ], [ 0, '{"id": 2}' ], [ 0, '{"id": "x"}' ], [ 0, '{"id": 1}' ], [ 0, '{"id": 3}' ]);
}
is(sql("SELECT deltaflow.run_once('skip')"), 5, 'on_error skip takes all');
is(books('skip'), '5|3|2|0|0', 'counts the bad ones');
is(sql("SELECT count(*) FROM deltaflow.dead_letters WHERE name = 'skip'"), 0, 'and keeps none');
is(sql("SELECT deltaflow.run_once('stop')"), 2, 'on_error stop takes what is before the bad record');
like(sql("SELECT state, last_error, hint FROM deltaflow.status WHERE name = 'stop'"), qr/^paused\|record at partition 0, offset 2 .*resume/, 'pauses at it, with the next step');
my ($status, $out, $error) = $node->psql('postgres', "SELECT deltaflow.run_once('stop')");
like($error, qr/ERROR:  "stop" is paused\nDETAIL:  record at partition 0, offset 2/, 'and says so');
sql("ALTER FOREIGN TABLE stop_topic OPTIONS (SET on_error 'dead_letter')", "SELECT deltaflow.resume('stop')");
is(sql("SELECT deltaflow.run_once('stop')"), 3, 'it goes on when resumed');
is(books('stop'), '5|3|2|0|0', 'with nothing lost');

### infrastructure errors are nobody's fault
topic('wait', 'id int');
sql('CREATE TABLE wait (id int)', q{CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.id = 5 THEN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$},
	'CREATE TRIGGER full_disk AFTER INSERT ON wait FOR EACH ROW EXECUTE FUNCTION full_disk()',
	"SELECT deltaflow.create_ingest('wait_topic', 'wait')");
produce('wait', map { [ 0, qq({"id": $_}) ] } 1 .. 10);
($status, $out, $error) = $node->psql('postgres', "SELECT deltaflow.run_once('wait')");
like($error, qr/ERROR:  disk full/, 'an infrastructure error goes to the caller');
is(sql('SELECT count(*) FROM wait') . books('wait'), '00|0|0|0|0', 'and nothing has happened');
### a cancel ends the statement, and leaves nothing open behind it
sql(q{CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	RAISE EXCEPTION 'cancelled here' USING ERRCODE = 'query_canceled'; END $$},
	'CREATE TRIGGER a_cancel BEFORE INSERT ON wait FOR EACH ROW EXECUTE FUNCTION cancel()');
($status, $out, $error) = $node->psql('postgres', "SELECT deltaflow.run_once('wait'); SELECT 'still here';", on_error_stop => 0);
like($error, qr/ERROR:  cancelled here/, 'a cancelled run_once says so');
is($out, 'still here', 'and its session goes on');
($status, $out, $error) = $node->psql('postgres', q{DO $$ BEGIN
	BEGIN PERFORM deltaflow.run_once('wait'); EXCEPTION WHEN query_canceled THEN RAISE NOTICE 'caught'; END;
	CREATE TABLE behind_the_cancel (); END $$; SELECT count(*) FROM behind_the_cancel}, on_error_stop => 0);
is($out, '0', 'and so does a function that catches it');
sql('DROP TRIGGER a_cancel ON wait');
sql('DROP TRIGGER full_disk ON wait');
is(sql("SELECT deltaflow.run_once('wait')", 'SELECT count(*) FROM wait'), "10\n10", 'until it is over');

### a view that fails does not stop the others, and catches up
topic('fold', 'id int, d int');
sql('CREATE TABLE fold (id int, d int)', "SELECT deltaflow.create_ingest('fold_topic', 'fold')",
	q{SELECT deltaflow.create_view('fine', 'SELECT d, count(*) AS n FROM fold GROUP BY 1')},
	q{SELECT deltaflow.create_view('fragile', 'SELECT 100 / d AS q, count(*) AS n FROM fold GROUP BY 1')});
produce('fold', map { [ $_ % 2, sprintf('{"id": %d, "d": %d}', $_, $_ % 3 + 1) ] } 1 .. 9);
sql("SELECT deltaflow.run_once('fold')");
is(sql('SELECT sum(n) FROM fine') . sql('SELECT sum(n) FROM fragile'), '99', 'both views are kept');
produce('fold', [ 0, '{"id": 10, "d": 0}' ], [ 0, '{"id": 11, "d": 1}' ]);
sql("SELECT deltaflow.run_once('fold')");
is(sql('SELECT sum(n) FROM fine') . sql('SELECT sum(n) FROM fragile') . sql('SELECT count(*) FROM fold'), '11911', 'one goes on, one stands still, the rows are stored');
like(sql("SELECT state, last_error, hint FROM deltaflow.status WHERE name LIKE '%fragile'"), qr/^failed\|division by zero\|.*resume/, 'and tells why');
sql('DELETE FROM fold WHERE d = 0', "SELECT deltaflow.resume('fragile')", "SELECT deltaflow.run_once('fold')");
is(sql('SELECT sum(n) FROM fragile'), 10, 'resumed, it is filled again');

# a function that finds by its caller's search_path what the view's does not hold
sql('CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT $1 * 2 $$',
	'CREATE FUNCTION four_times(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN twice(twice($1)); END $$',
	q{SELECT deltaflow.create_view('lost', 'SELECT four_times(d) AS d, count(*) AS n FROM fold GROUP BY 1')}, "SELECT deltaflow.run_once('fold')");
like(sql("SELECT state, last_error, hint FROM deltaflow.status WHERE name LIKE '%lost'"),
	qr/^failed\|function twice\(integer\) does not exist.*\|.*search_path.*resume/, 'a function that is not found fails the view, and the hint knows why');
sql('ALTER FUNCTION four_times(int) SET search_path = public', "SELECT deltaflow.resume('lost')", "SELECT deltaflow.run_once('fold')");
is(sql('SELECT sum(n) FROM lost'), 10, 'with a search_path of its own it is found');
is(sql("SELECT deltaflow.wait('lost', '0')"), 't', 'a wait of no time tells whether it has caught up');

### random cuts, errors in the middle: every id once
my $seed = seed_random();

topic('cuts', 'id int NOT NULL, g int, ts timestamptz', ", event_time 'ts', watermark_delay '10 s'");
sql('CREATE TABLE cuts (id int PRIMARY KEY, g int CHECK (g < 90), ts timestamptz)',
	'CREATE TABLE gs (g int PRIMARY KEY)', 'INSERT INTO gs SELECT generate_series(0, 85)',
	'ALTER TABLE cuts ADD FOREIGN KEY (g) REFERENCES gs',
	"SELECT deltaflow.create_ingest('cuts_topic', 'cuts')",
	q{SELECT deltaflow.create_view('per_g', 'SELECT g, count(*) AS n, sum(id) AS s FROM cuts GROUP BY 1')});
my ($taken, $id, $good, $dead) = (0, 0, 0, 0);
for my $round (1 .. 6)
{
	my @lines;

	for (1 .. 300)
	{
		my $g = int(rand(100));
		my $same = $id > 0 && rand() < 0.01;
		my $n = $same ? 1 : ++$id;

		push @lines, sprintf("%d\tk\t{\"id\": %d, \"g\": %d, \"ts\": \"2024-01-01 00:00:%02d\"}", $n % 2, $n, $n == 1 ? 1 : $g, $n % 60);
		($same || ($n != 1 && $g > 85)) ? $dead++ : $good++;
	}
	$mock->produce_lines('cuts', @lines);
	$taken += (split /\n/, sql('SET deltaflow.epoch_max_records = ' . (1 + int(rand(120))), "SELECT deltaflow.run_once('cuts')"))[-1];
}
is($taken, $good + $dead, 'all records are taken');
is(sql('SELECT count(*) FROM cuts'), $good, 'every good one is stored once');
is(books('cuts'), join('|', $good + $dead, $good, $dead, 0, 0), 'the others are dead letters');
is(sql('SELECT sum(n) FROM per_g'), $good, 'the view has them once');
is(sql("SELECT count(*) FROM deltaflow.reconcile('per_g')"), 0, 'and equals the batch answer');

### an offset that the topic does not have
sql('CREATE TABLE ahead (id int)', q{SELECT deltaflow.create_ingest('plain_topic', 'ahead', start => '{"0": 100000, "1": 0}')});
sql("SELECT deltaflow.run_once('ahead')");
like(sql("SELECT state, last_error, hint FROM deltaflow.status WHERE name = 'ahead'"),
	qr/^paused\|partition 0 of topic "plain" ends at offset \d+, before the next one to read, 100000.*set_position\('ahead', 0, 0\)/, 'an offset beyond the end pauses the ingest');
sql("SELECT deltaflow.set_position('ahead', 0, 0)", "SELECT deltaflow.resume('ahead')", "SELECT deltaflow.run_once('ahead')");
is(sql('SELECT count(*) FROM ahead'), 501, 'and the hint leads on');

### databases of other encodings: dead letters can be read, and headers are what they were
$mock->command('create headers 1');
$mock->produce_lines('headers', "0\tk\tno object\t\xc3\xa9=x\tbinary=\xff");
for ([ latin1 => '233|\xff' ], [ sql_ascii => '195|\xff' ])
{
	my ($encoding, $expected) = @$_;

	$node->safe_psql('postgres', "CREATE DATABASE $encoding ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql($encoding, 'CREATE EXTENSION deltaflow');
	create_broker($node, $mock->address, $encoding);
	$node->safe_psql($encoding, q{
		CREATE FOREIGN TABLE topic (id int) SERVER broker OPTIONS (topic 'headers');
		CREATE TABLE stored (id int);
		SELECT deltaflow.create_ingest('topic', 'stored');
		SELECT deltaflow.run_once('stored');
	});
	my $headers = $encoding eq 'latin1' ? q{ascii(headers -> 0 ->> 0) || '|' || replace(headers -> 1 ->> 1, chr(255), '\xff')}
	  : q{ascii(headers -> 0 ->> 0) || '|' || (headers -> 1 ->> 1)};
	is($node->safe_psql($encoding, "SET client_encoding = 'UTF8'; SELECT $headers FROM deltaflow.dead_letters"), $expected, "headers of a dead letter in $encoding");
}

check_books($node, 'at the end');
done_testing();
