-- Every definition that cannot be kept is refused at CREATE: clause, reason, alternative.
CREATE EXTENSION deltaflow;
SET client_min_messages = warning;
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE toll_topic (
    booth int NOT NULL, plate text, toll numeric, at timestamptz, lane float8, doc jsonb
) SERVER broker OPTIONS (topic 'toll', format 'json', event_time 'at', watermark_delay '30 s');
CREATE FOREIGN TABLE timeless_topic (booth int) SERVER broker OPTIONS (topic 'timeless', format 'json');
CREATE TABLE toll (LIKE toll_topic);
CREATE TABLE other (id int PRIMARY KEY, name text, valid_at timestamptz);
INSERT INTO deltaflow.pipeline (name, topic, target, start_at, system_identifier, database_id)
VALUES ('toll', 'toll_topic', 'toll', 'earliest', 0, 0);
RESET client_min_messages;

-- statements
SELECT deltaflow.create_view('v', 'INSERT INTO toll (booth) VALUES (1)');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll; SELECT 1');
SELECT deltaflow.create_view('v', 'SELECT count(*) INTO x FROM toll');
SELECT deltaflow.create_view('v', 'SELECT count(* FROM toll');
SELECT deltaflow.create_view('v', 'SELECT count(*), nothing FROM toll');
SELECT deltaflow.create_view('v');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll', from_view => 'other');
SELECT deltaflow.create_view('v', from_view => 'other');

-- FROM
SELECT deltaflow.create_view('v', 'SELECT count(*)');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll, other');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll JOIN other ON id = booth');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM generate_series(1, 3)');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (VALUES (1)) x');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll TABLESAMPLE system (10)');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM pg_class');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM other');
SELECT deltaflow.create_view('v', 'SELECT booth FROM toll UNION ALL SELECT id FROM other');
SELECT deltaflow.create_view('v', 'WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r');
SELECT deltaflow.create_view('v', 'SELECT avg(n) FROM (SELECT booth, count(*) AS n FROM toll GROUP BY 1) x');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT booth FROM toll LIMIT 5) x');
CREATE TEMP TABLE passing (a int);
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM passing');
CREATE UNLOGGED TABLE forgetful (a int);
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM forgetful');
CREATE MATERIALIZED VIEW snapshot AS SELECT 1 AS a;
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM snapshot');
CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM toll;
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM guarded');
CREATE TABLE parent (a int);
CREATE TABLE child () INHERITS (parent);
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM ONLY parent');
CREATE ROLE deltaflow_reader;
GRANT SELECT ON toll TO deltaflow_reader;
GRANT CREATE ON SCHEMA public TO deltaflow_reader;
ALTER TABLE toll ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON toll USING (booth = 1);
SET ROLE deltaflow_reader;
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM other');
RESET ROLE;
ALTER TABLE toll DISABLE ROW LEVEL SECURITY;

-- clauses
SELECT deltaflow.create_view('v', 'SELECT booth, plate FROM toll');
SELECT deltaflow.create_view('v', 'SELECT DISTINCT booth FROM toll GROUP BY booth');
SELECT deltaflow.create_view('v', 'SELECT booth, count(*) FROM toll GROUP BY 1 ORDER BY 2');
SELECT deltaflow.create_view('v', 'SELECT booth, count(*) FROM toll GROUP BY 1 LIMIT 10');
SELECT deltaflow.create_view('v', 'SELECT booth, count(*) FROM toll GROUP BY 1 OFFSET 10');
SELECT deltaflow.create_view('v', 'SELECT booth, rank() OVER (ORDER BY count(*)) FROM toll GROUP BY 1');
SELECT deltaflow.create_view('v', 'SELECT booth, plate, count(*) FROM toll GROUP BY ROLLUP (booth, plate)');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT * FROM toll FOR UPDATE) x');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll WHERE booth IN (SELECT id FROM other)');
SELECT deltaflow.create_view('v', 'SELECT generate_series(1, 2), count(*) FROM toll GROUP BY 1');

-- columns
SELECT deltaflow.create_view('v', 'SELECT ctid, count(*) FROM toll GROUP BY 1');
SELECT deltaflow.create_view('v', 'SELECT count(toll) FROM toll AS t WHERE t IS NOT NULL');
ALTER TABLE other RENAME TO keyed;
INSERT INTO deltaflow.pipeline (name, topic, target, start_at, system_identifier, database_id)
VALUES ('keyed', 'toll_topic', 'keyed', 'earliest', 0, 0);
SELECT deltaflow.create_view('v', 'SELECT id, name, count(*) FROM keyed GROUP BY id');

-- expressions whose value changes
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll WHERE at > now() - interval ''1 day''');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll WHERE at > current_date');
SELECT deltaflow.create_view('v', 'SELECT count(*) FILTER (WHERE random() < 0.1) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT count(*), clock_timestamp() FROM toll');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll WHERE plate = current_user');
SELECT deltaflow.create_view('v', 'SELECT sum(toll) FROM toll WHERE plate = current_setting(''app.plate'')');
SELECT deltaflow.create_view('v', 'SELECT max(plate::timestamptz) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT max(age(at)) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT booth, count(*) FROM toll GROUP BY 1 HAVING max(at) > now()');
CREATE FUNCTION mine(int) RETURNS int LANGUAGE sql STABLE RETURN $1;
SELECT deltaflow.create_view('v', 'SELECT mine(booth), count(*) FROM toll GROUP BY 1');
CREATE FUNCTION dated(int, timestamptz DEFAULT now()) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
SELECT deltaflow.create_view('v', 'SELECT dated(booth), count(*) FROM toll GROUP BY 1');

-- aggregates
SELECT deltaflow.create_view('v', 'SELECT count(DISTINCT plate) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT sum(toll ORDER BY at) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY lane) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT array_agg(plate) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT string_agg(plate, '','') FROM toll');
SELECT deltaflow.create_view('v', 'SELECT jsonb_agg(doc) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT range_agg(tstzrange(at, at)) FROM toll');
CREATE AGGREGATE alone (int) (sfunc = int4pl, stype = int);
SELECT deltaflow.create_view('v', 'SELECT alone(booth) FROM toll');

-- keys
SELECT deltaflow.create_view('v', 'SELECT ROW(booth, plate), count(*) FROM toll GROUP BY 1');
SELECT deltaflow.create_view('v', 'SELECT booth::text::xid, count(*) FROM toll GROUP BY 1');
SELECT deltaflow.create_view('v', 'SELECT to_tsvector(''simple'', plate) AS words, count(*) FROM toll GROUP BY 1');
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT deltaflow.create_view('v', 'SELECT plate COLLATE caseless AS p, count(*) FROM toll GROUP BY 1');

-- time
SELECT deltaflow.create_view('v', 'SELECT booth, count(*) FROM toll GROUP BY 1', lateness => '1 min');
SELECT deltaflow.create_view('v', 'SELECT date_trunc(plate, at), count(*) FROM toll GROUP BY 1', lateness => '1 min');
SELECT deltaflow.create_view('v', 'SELECT date_trunc(''hour'', at), count(*) FROM toll GROUP BY 1', lateness => '-1 min');
SELECT deltaflow.create_view('v', 'SELECT date_trunc(''hour'', at), count(*) FROM toll GROUP BY 1', emit => 'close');
SELECT deltaflow.create_view('v', 'SELECT date_trunc(''hour'', at), count(*) FROM toll GROUP BY 1', emit => 'sometimes');
SELECT deltaflow.create_view('v', 'SELECT date_trunc(''hour'', valid_at), count(*) FROM keyed GROUP BY 1', lateness => '1 min');
UPDATE deltaflow.pipeline SET topic = 'timeless_topic' WHERE name = 'keyed';
SELECT deltaflow.create_view('v', 'SELECT date_trunc(''hour'', valid_at), count(*) FROM keyed GROUP BY 1', lateness => '1 min');

SELECT deltaflow.create_view('v', 'SELECT date_bin(''1 month'', at, ''2000-01-01''), count(*) FROM toll GROUP BY 1');
SELECT deltaflow.create_view('v', 'SELECT date_bin(''-1 hour'', at, ''2000-01-01''), count(*) FROM toll GROUP BY 1');
SELECT deltaflow.create_view('v', 'SELECT date_trunc(''day'', at, ''Mars/Olympus''), count(*) FROM toll GROUP BY 1');

-- names and options
SELECT deltaflow.create_view('toll', 'SELECT count(*) FROM toll');
SELECT deltaflow.create_view('nowhere.v', 'SELECT count(*) FROM toll');
SELECT deltaflow.create_view('pg_temp.v', 'SELECT count(*) FROM toll');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll', start => 'earliest');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM toll', options => '{"speed": "high"}');

-- nothing was left behind
SELECT count(*) FROM deltaflow.view;
SELECT relname FROM pg_class WHERE relname ~ '^v(_batch|_state|_state_key)?$';

DROP OWNED BY deltaflow_reader;
DROP ROLE deltaflow_reader;
