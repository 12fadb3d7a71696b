-- What folding a row and writing a group cost, in processor time of this process.
--		createdb bench; psql -d bench -f bench.sql
-- fold_ns: nanoseconds per row; write_us: microseconds per group written.  In one
-- transaction nothing can be pruned, so the second part writes in transactions of its own.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS deltaflow;
CREATE EXTENSION IF NOT EXISTS maintain_test;
SET synchronous_commit = off;

CREATE TABLE bid (auction bigint, bidder bigint, price bigint, channel text, at timestamptz, amount numeric, f float8, near bigint);
INSERT INTO bid SELECT 1000 + (random() * random() * 3000)::int + g / 50, (random() * 10000)::int, (random() * 10000)::int, 'channel ' || g % 10,
    timestamptz '2024-01-01' + g * interval '10 us', (random() * 10000)::int / 100.0, random(), g / 15 + (random() * 400)::int FROM generate_series(1, 1000000) g;
SELECT maintain_source('bid');
SELECT deltaflow.create_view('few', $$SELECT date_trunc('second', at) AS w, count(*) AS n, sum(price) AS s, max(price) AS m FROM bid WHERE price > 5 GROUP BY 1$$);
SELECT deltaflow.create_view('many', $$SELECT date_bin('10 s', at, '2000-01-01') AS w, auction, count(*) AS n, sum(price) AS s, max(price) AS m FROM bid WHERE price > 5 GROUP BY 1, 2$$);
SELECT deltaflow.create_view('near', $$SELECT date_bin('10 s', at, '2000-01-01') AS w, near, count(*) AS n, sum(price) AS s, max(price) AS m FROM bid WHERE price > 5 GROUP BY 1, 2$$);
SELECT deltaflow.create_view('wide', $$SELECT date_bin('10 s', at, '2000-01-01') AS w, channel, sum(amount) AS s, sum(f) AS f, avg(amount) AS a FROM bid GROUP BY 1, 2$$);

\echo '10 groups; 22,000 groups at random; 67,000 groups, 400 of them at a time; text key, numeric and float8:'
SELECT v AS view, round(fold_ns::numeric, 1) AS fold_ns FROM unnest(ARRAY['few', 'many', 'near', 'wide']) v,
    maintain_fold(v::regclass, 'bid', epoch_rows => 100000000, cache_kb => 1000000, repeats => 5);

CREATE TABLE item (k int, v bigint, at timestamptz);
SELECT maintain_source('item');
SELECT deltaflow.create_view('items', $$SELECT date_bin('1 day', at, '2000-01-01') AS w, k, count(*) AS n, sum(v) AS s, max(v) AS m FROM item GROUP BY 1, 2$$);
CREATE TABLE item0 AS SELECT g AS k, g::bigint AS v, timestamptz '2024-01-01' AS at FROM generate_series(1, 20000) g;
CREATE TABLE item1 AS SELECT * FROM item0 ORDER BY random() LIMIT 10000;
SELECT maintain_keep('items');
\echo '20,000 new groups; 10,000 of them updated, in each of 50 transactions:'
SELECT written, round(write_us::numeric, 2) AS write_us FROM maintain_kept_fold('item0');
CREATE TEMP TABLE cost (write_us float8);
\set ECHO none
SELECT 'INSERT INTO cost SELECT write_us FROM maintain_kept_fold(''item1'')' FROM generate_series(1, 50) \gexec
SELECT round(avg(write_us)::numeric, 2) AS write_us, pg_size_pretty(pg_relation_size('items_state')) AS table_size FROM cost;
