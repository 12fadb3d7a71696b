# INSERT and COPY into topics: what is produced, constraints, acknowledgement, failures.
use strict;
use warnings;

use Deltaflow::Mock;
use Deltaflow::Util;
use Test::More;
use Time::HiRes qw(time);

my $mock = Deltaflow::Mock->start(topics => { orders => 3, parts => 2 });
my $node = deltaflow_node('insert');

create_broker($node, $mock->address);
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE orders (id int CHECK (id > 0), name text NOT NULL DEFAULT 'nobody', twice int GENERATED ALWAYS AS (id * 2) STORED,
		at timestamptz OPTIONS (unit 'ms'),
		part int OPTIONS (metadata 'partition') NOT NULL, off bigint OPTIONS (metadata 'offset') NOT NULL,
		arrived timestamptz OPTIONS (metadata 'timestamp'), k text OPTIONS (metadata 'key'),
		h jsonb OPTIONS (metadata 'headers'), t text OPTIONS (metadata 'topic'))
	SERVER broker OPTIONS (topic 'orders');
	CREATE FOREIGN TABLE orders_raw (v text, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'))
	SERVER broker OPTIONS (topic 'orders', format 'raw');
});

sub query { return $node->safe_psql('postgres', $_[0]); }

sub complaint
{
	my ($query) = @_;
	my $error;

	$node->psql('postgres', $query, stderr => \$error);
	return $error;
}

# what is produced
is(query(q{INSERT INTO orders (id, name, part) VALUES (1, 'one', 0), (2, 'zwei', 0) RETURNING id, name, twice, off}), "1|one|2|\n2|zwei|4|", 'RETURNING');
is(query(q{INSERT INTO orders (id, at, part, k, h) VALUES (3, '2024-01-01 00:00:00.5+00', 1, 'key', '[["a", "x"], ["a", null]]') RETURNING name}), 'nobody', 'defaults');
is(query('SELECT id, name, twice, part, off FROM orders ORDER BY part, off'), "1|one|2|0|0\n2|zwei|4|0|1\n3|nobody|6|1|0", 'what was inserted is read');
is(query(q{SELECT k, h, t, at = '2024-01-01 00:00:00.5+00' FROM orders WHERE part = 1}), 'key|[["a", "x"], ["a", null]]|orders|t', 'key, headers, time by unit');
like(query('SELECT v::jsonb ->> $$at$$ FROM orders_raw WHERE part = 1'), qr/^1704067200500$/, 'as JSON with the column\'s unit');
is(query('INSERT INTO orders_raw (v, part) VALUES (NULL, 2); SELECT v IS NULL, off FROM orders_raw WHERE part = 2'), 't|0', 'a tombstone');

# many, through every way in
query(q{INSERT INTO orders (id, part) SELECT i, i % 3 FROM generate_series(1, 20000) i});
is(query('SET client_min_messages = error; SELECT count(*), sum(id) FROM orders'), '20003|200010006', 'twenty thousand rows are acknowledged');
query("COPY orders (id, name) FROM stdin WITH (FORMAT csv);\n30001,copied\n30002,\"too\"\n\\.\n");
is(query(q{SELECT count(*) FROM orders WHERE id > 30000}), 2, 'COPY');
query(q{WITH moved AS (INSERT INTO orders (id) VALUES (30003) RETURNING id) SELECT * FROM moved});
query(q{PREPARE p AS INSERT INTO orders (id) VALUES ($1); EXECUTE p(30004)});
query(q{CREATE FUNCTION produce() RETURNS void LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1 .. 3 LOOP INSERT INTO orders (id) VALUES (30010 + i); END LOOP; END $$; SELECT produce()});
is(query(q{SELECT string_agg(id::text, ',' ORDER BY id) FROM orders WHERE id > 30002}), '30003,30004,30011,30012,30013', 'in CTEs, prepared, in functions');
query(q{
	CREATE TABLE parted (id int, part int, note text) PARTITION BY LIST (part);
	CREATE TABLE parted_table PARTITION OF parted FOR VALUES IN (0);
	CREATE FOREIGN TABLE parted_topic PARTITION OF parted FOR VALUES IN (1) SERVER broker OPTIONS (topic 'parts');
	INSERT INTO parted VALUES (1, 0, 'a'), (2, 1, 'b'), (3, 1, 'c'), (4, 0, 'd');
});
is(query('SELECT string_agg(id || note, $$,$$ ORDER BY id) FROM parted_topic'), '2b,3c', 'rows routed to a topic that is a partition');
query(q{CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$;
	CREATE TRIGGER stamp BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
	INSERT INTO orders (id, name) VALUES (30020, 'small'); DROP TRIGGER stamp ON orders});
is(query('SELECT name FROM orders WHERE id = 30020'), 'SMALL', 'a trigger before insert');

# constraints, and columns of the broker
like(complaint('INSERT INTO orders (id) VALUES (-1)'), qr/ERROR:  new row for relation "orders" violates check constraint "orders_id_check"/, 'CHECK');
like(complaint('INSERT INTO orders (id, name) VALUES (1, NULL)'), qr/ERROR:  null value in column "name" of relation "orders" violates not-null constraint/, 'NOT NULL');
like(complaint("INSERT INTO orders (id, $_->[0]) VALUES (1, $_->[1])"), qr/ERROR:  cannot set column "$_->[0]" of topic "orders"\s+DETAIL:  The broker.*\s+HINT:/, "$_->[0] is the broker's")
  for [ off => 5 ], [ arrived => 'now()' ], [ t => "'other'" ];
like(complaint('INSERT INTO orders (id, part) VALUES (1, 99)'), qr/ERROR:  could not produce to topic "orders".*\s+DETAIL:  .*partition/i, 'a partition that does not exist');
like(complaint('INSERT INTO orders (id, part) VALUES (1, -7)'), qr/ERROR:.*partition/i, 'nor can exist');
like(complaint(q{INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO NOTHING}), qr/ERROR:  there is no unique or exclusion constraint/, 'no conflicts');
like(complaint('UPDATE orders SET id = 1'), qr/ERROR:  cannot update rows of a topic\s+DETAIL:.*\s+HINT:/, 'UPDATE');

# at least once: what was produced before an error stays
my $before = query('SELECT count(*) FROM orders');
complaint('INSERT INTO orders (id) SELECT 3 - i FROM generate_series(0, 5) i');
query('BEGIN; INSERT INTO orders (id) VALUES (40000); ROLLBACK');
is(query('SELECT count(*) FROM orders WHERE id = 40000'), 1, 'a record produced cannot be rolled back');
cmp_ok(query('SELECT count(*) FROM orders'), '>=', $before + 1, 'nothing is lost');

# the statement ends when the broker has acknowledged
{
	my $started = time;

	$mock->command('rtt 1 400');
	query('INSERT INTO orders (id) VALUES (50000)');
	cmp_ok(time - $started, '>', 0.35, 'a slow acknowledgement is waited for');
	$mock->command('rtt 1 0');
}
$mock->command('down 0');
{
	my $started = time;

	like(complaint(q{SET deltaflow.broker_timeout = '1 s'; INSERT INTO orders (id) VALUES (60000)}), qr/ERROR:  could not produce to topic "orders"/, 'a broker that is away is an error');
	cmp_ok(time - $started, '<', 10, 'after broker_timeout');
	like(complaint(q{SET statement_timeout = '300 ms'; INSERT INTO orders (id) VALUES (60001)}), qr/canceling statement/, 'waiting for it is cancelled');
}
$mock->command('up 0');
is(query('SELECT count(*) FROM orders WHERE id IN (60000, 60001)'), 0, 'and nothing was produced');
is(query(q{SELECT count(*) FROM pg_ls_dir('/proc/' || pg_backend_pid() || '/task')}), 1, 'a session that did not use a topic has no threads');

$node->stop;
done_testing();
