-- What create_view makes, how it holds together, and what follows it.
CREATE EXTENSION deltaflow;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE toll_topic (
    booth int NOT NULL, plate text, toll numeric(8,2), at timestamptz, lane float8, weight real
) SERVER broker OPTIONS (topic 'toll', format 'json', event_time 'at', watermark_delay '30 s');
CREATE TABLE toll (LIKE toll_topic);
INSERT INTO deltaflow.pipeline (name, topic, target, start_at, system_identifier, database_id)
VALUES ('toll', 'toll_topic', 'toll', 'earliest', 0, 0);
RESET client_min_messages;

-- three ordinary objects
SELECT deltaflow.create_view('booth_stats', $$
    SELECT booth, date_bin('10 min', at, '2000-01-01') AS window_start,
           count(*) AS vehicles, count(*) FILTER (WHERE toll = 0) AS free, sum(toll) AS tolls, avg(toll) AS mean,
           stddev(booth), var_pop(lane) AS spread, sum(lane), avg(weight) AS weight, max(plate), bool_or(toll > 10) AS dear,
           corr(lane, weight), round(sum(toll) / nullif(count(*), 0), 1) AS per_vehicle
    FROM toll WHERE toll >= 0 GROUP BY 1, 2 HAVING count(*) > 1
$$, lateness => '2 min');
\d booth_stats
\d+ booth_stats_state
\d booth_stats_batch
SELECT deltaflow.explain('booth_stats');
SELECT live, batch, state_table, lateness, emit, options FROM deltaflow.view;
SELECT generation > 0 AS workers_reload FROM deltaflow.pipeline;
SELECT deltaflow.explain('toll');

-- the live view computes what the definition does: a group put into the state by hand
INSERT INTO toll VALUES
    (1, 'a', 0, '2024-01-01 10:01', 1.5, 2), (1, 'b', 12.50, '2024-01-01 10:02', 2.5, 1), (1, NULL, 2.25, '2024-01-01 10:09', 0.1, 7);
INSERT INTO booth_stats_state
SELECT date_bin('10 min', at, '2000-01-01'), booth, count(*), count(*) FILTER (WHERE toll = 0), sum(toll),
       count(toll), sum(toll), count(booth), sum(booth), sum(booth::numeric ^ 2), count(lane), ARRAY[sum(lane)], ARRAY[sum(lane * lane)],
       ARRAY[sum(lane)], count(weight), ARRAY[sum(weight::float8)], max(plate), bool_or(toll > 10),
       ARRAY[regr_count(lane, weight), sum(weight::float8), regr_sxx(lane, weight), sum(lane), regr_syy(lane, weight), regr_sxy(lane, weight)]
FROM toll GROUP BY 1, 2;
SELECT booth, window_start, vehicles, free, tolls, mean, stddev, max, dear, per_vehicle FROM booth_stats;
SELECT booth, window_start, vehicles, free, tolls, mean, stddev, max, dear, per_vehicle FROM booth_stats_batch;
SELECT abs(l.spread - b.spread) < 1e-12 AS spread, abs(l.sum - b.sum) < 1e-12 AS sum,
       abs(l.weight - b.weight) < 1e-12 AS weight, abs(l.corr - b.corr) < 1e-12 AS corr
FROM booth_stats l, booth_stats_batch b;

-- again: nothing to do; otherwise: an error
SELECT deltaflow.create_view('count_all', 'SELECT count(*), sum(booth), min(plate), avg(lane), regr_count(lane, weight) FROM toll');
SELECT * FROM count_all;
SELECT deltaflow.create_view('count_all', 'select  count ( * ), sum(t.booth), min(plate), avg(lane), regr_count(lane, weight) from public.toll t');
SELECT deltaflow.create_view('count_all', 'SELECT count(*), sum(booth), min(plate), avg(lane), regr_count(weight, lane) FROM toll');
SELECT deltaflow.create_view('count_all', 'SELECT count(*) AS n, sum(booth), min(plate), avg(lane), regr_count(lane, weight) FROM toll');
SELECT deltaflow.create_view('booth_stats', from_view => 'booth_stats_batch', lateness => '2 min');
SELECT deltaflow.create_view('booth_stats', from_view => 'booth_stats_batch', lateness => '120 s');
SELECT deltaflow.create_view('booth_stats', from_view => 'booth_stats_batch');

-- plain views, subqueries and common table expressions in FROM are expanded
CREATE VIEW dear AS SELECT booth AS b, toll * 2 AS double, at FROM toll WHERE toll > 5 ORDER BY at;
SELECT deltaflow.create_view('nested', $$
    WITH c AS (SELECT b + 1 AS next, double, at FROM dear WHERE b > 0)
    SELECT next, date_trunc('day', s.at, 'Europe/Paris') AS day, sum(s.double) AS total
    FROM (SELECT * FROM c WHERE next < 100) s GROUP BY next, 2 HAVING sum(s.double) > 10
$$);
SELECT deltaflow.explain('nested');

-- a global group, windows of every unit, and a window over a topic
SELECT deltaflow.create_view('topic_days', $$
    SELECT date_trunc('week', at) AS week, booth % 10 AS digit, count(*) FROM toll_topic GROUP BY 1, 2
$$, start => '{"0": 42}', lateness => '1 day', emit => 'close');
SELECT name, topic, target, start_at FROM deltaflow.pipeline ORDER BY id;
SELECT topic_partition, next_offset FROM deltaflow.position;
SELECT deltaflow.create_view('topic_count', 'SELECT count(*) FROM toll_topic', start => 'earliest');
SELECT deltaflow.create_view('topic_count', 'SELECT count(*) FROM toll_topic');
SELECT count(*) FROM topic_days;
UPDATE deltaflow.pipeline SET watermark = '2024-01-10 00:00+00' WHERE name = 'toll_topic';
INSERT INTO topic_days_state VALUES ('2024-01-01', 1, 7), ('2024-01-08', 1, 9);
SELECT * FROM topic_days;

-- dropping: parts only together; a topic's pipeline goes with its last view
DROP TABLE booth_stats_state;
DROP VIEW booth_stats_batch;
ALTER TABLE toll DROP COLUMN toll;
DROP TABLE toll;
DROP VIEW topic_days;
SELECT count(*) FROM deltaflow.pipeline WHERE name = 'toll_topic';
DROP VIEW topic_count;
SELECT count(*) FROM deltaflow.pipeline WHERE name = 'toll_topic';
BEGIN;
DROP VIEW nested, count_all;
SELECT live FROM deltaflow.view ORDER BY id;
ROLLBACK;
SELECT live FROM deltaflow.view ORDER BY id;
DROP VIEW nested, count_all;
SELECT relname FROM pg_class WHERE relname ~ '^(nested|count_all|topic_)' ORDER BY 1;

-- from_view: the definition stays its owner's
CREATE VIEW booth_count_def AS SELECT booth, count(*) AS n FROM toll GROUP BY booth;
SELECT deltaflow.create_view('booth_count', from_view => 'booth_count_def');
DROP VIEW booth_count_def;
ALTER VIEW booth_count RENAME TO booth_counts;
\d booth_count*
DROP VIEW booth_counts;
\d booth_count*

-- rename, move, give away: the rest follows
CREATE ROLE deltaflow_analyst;
CREATE SCHEMA reports;
GRANT USAGE, CREATE ON SCHEMA reports TO deltaflow_analyst;
GRANT SELECT ON toll TO deltaflow_analyst;
SELECT generation AS before FROM deltaflow.pipeline \gset
ALTER VIEW booth_stats RENAME TO booths;
ALTER VIEW booths SET SCHEMA reports;
ALTER VIEW reports.booths RENAME COLUMN tolls TO revenue;
ALTER VIEW reports.booths OWNER TO deltaflow_analyst;
SELECT relname, relkind, relowner::regrole FROM pg_class WHERE relnamespace = 'reports'::regnamespace ORDER BY 1;
SELECT attname FROM pg_attribute WHERE attrelid = 'reports.booths_batch'::regclass AND attnum IN (5, 6) ORDER BY attnum;
SELECT live, batch, state_table FROM deltaflow.view;
SELECT generation > :before AS workers_reload FROM deltaflow.pipeline;
ALTER TABLE toll RENAME COLUMN plate TO license;
ALTER TABLE toll RENAME TO tolls;
SELECT deltaflow.explain('reports.booths') LIMIT 4;
ALTER TABLE tolls RENAME TO toll;

-- a changed definition, or state table, is noticed; the old one put back is fine
CREATE VIEW small AS SELECT * FROM toll WHERE toll < 5;
CREATE VIEW small_def AS SELECT booth, count(*) AS n FROM small GROUP BY booth;
SELECT deltaflow.create_view('small_count', from_view => 'small_def');
CREATE OR REPLACE VIEW small AS SELECT * FROM toll WHERE toll < 6;
SELECT deltaflow.explain('small_count') LIMIT 1;
CREATE OR REPLACE VIEW small AS SELECT * FROM toll WHERE toll < 5;
SELECT deltaflow.explain('small_count') LIMIT 1;
ALTER TABLE small_count_state ADD COLUMN extra int;
SELECT deltaflow.explain('small_count') LIMIT 1;
DROP VIEW small_count;

-- another major version: ordinary states go on, serialized ones are built again
CREATE AGGREGATE mean (bigint) (sfunc = int8_avg_accum, stype = internal, finalfunc = numeric_poly_avg,
    combinefunc = int8_avg_combine, serialfunc = int8_avg_serialize, deserialfunc = int8_avg_deserialize, parallel = safe);
SELECT deltaflow.create_view('means', 'SELECT mean(booth) FROM toll');
\d means_state
SELECT * FROM means;
UPDATE deltaflow.view SET server_major = 14, fingerprint = 'x:y';
UPDATE deltaflow.view SET state = 'running';
SELECT deltaflow.explain('reports.booths') LIMIT 1;
SELECT deltaflow.explain('means') LIMIT 1;
UPDATE deltaflow.view SET state = 'backfilling' WHERE live = 'means'::regclass;
SELECT deltaflow.explain('means') LIMIT 1;
DROP VIEW means;

-- privileges
REVOKE SELECT ON toll FROM deltaflow_analyst;
SET ROLE deltaflow_analyst;
SELECT deltaflow.create_view('reports.mine', 'SELECT count(*) FROM toll');
SELECT deltaflow.create_view('reports.mine', from_view => 'small_def');
SELECT live FROM deltaflow.view;
RESET ROLE;
GRANT SELECT (booth) ON toll TO deltaflow_analyst;
SET ROLE deltaflow_analyst;
SELECT deltaflow.create_view('reports.mine', 'SELECT count(license) FROM toll');
SELECT deltaflow.create_view('reports.mine', 'SELECT booth, count(*) FROM toll GROUP BY booth');
SELECT * FROM reports.mine;
ALTER VIEW reports.mine RENAME TO ours;
DROP VIEW reports.ours;
RESET ROLE;

-- awkward names and types
SELECT deltaflow.create_view('"Odd ""Name"""', $$
    SELECT booth AS "ctid", booth + 1 AS "a ""b""", count(*) AS "a ""b"" 2", max(toll) AS "select", license::varchar(5) COLLATE "C" AS l
    FROM toll GROUP BY 1, 2, 5
$$);
\d "Odd ""Name""_state"
\d "Odd ""Name"""
SELECT deltaflow.create_view(repeat('long', 15) || 'x', 'SELECT booth, avg(toll) AS ' || repeat('wide', 15) || ' FROM toll GROUP BY 1');
\d longlong*

-- an aggregate of any type, whose final function goes by the type of its argument
CREATE FUNCTION one_more(bigint, anyelement) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION tell_type(bigint, anyelement) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 || '' of '' || pg_typeof($2); END';
CREATE AGGREGATE how_many (anyelement) (sfunc = one_more, stype = bigint, combinefunc = int8pl, finalfunc = tell_type, finalfunc_extra, initcond = 0);
SELECT deltaflow.create_view('typed', 'SELECT how_many(weight) AS weights, how_many(at) AS times FROM toll WHERE false');
TABLE typed;
TABLE typed_batch;
DROP VIEW typed;

-- its rows are not a source
SELECT deltaflow.create_view('by_plate', 'SELECT license, count(*) AS n FROM toll GROUP BY 1');
SELECT deltaflow.create_view('most', 'SELECT max(n) FROM by_plate');
DROP VIEW by_plate;

-- it goes with the types and collations of its state
CREATE TYPE vehicle AS ENUM ('car', 'truck');
CREATE COLLATION plain FROM "C";
SELECT deltaflow.create_view('kinds', 'SELECT license::vehicle AS kind, count(*) FROM toll GROUP BY 1');
SELECT deltaflow.create_view('plates', 'SELECT booth, max(license COLLATE plain) AS last FROM toll GROUP BY 1');
DROP TYPE vehicle;
DROP TYPE vehicle CASCADE;
DROP COLLATION plain CASCADE;
SELECT relname FROM pg_class WHERE relname ~ '^(kinds|plates)';

-- everything goes with the schema, the role or the extension
DROP SCHEMA reports CASCADE;
SELECT live FROM deltaflow.view ORDER BY id;
DROP OWNED BY deltaflow_analyst;
DROP ROLE deltaflow_analyst;
SET client_min_messages = warning;
DROP EXTENSION deltaflow CASCADE;
SELECT relname FROM pg_class WHERE relname ~ '_state$' ORDER BY 1;
