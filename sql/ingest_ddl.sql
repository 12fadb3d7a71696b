--
-- Ingests: what create_ingest accepts and refuses, and what dropping does.
-- Starts are offsets per partition, so no broker is asked.
--
CREATE EXTENSION deltaflow;
SET client_min_messages = warning;
CREATE SERVER nobroker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE toll_topic (
    booth int NOT NULL, plate text, toll numeric(10,2), at timestamptz,
    off bigint OPTIONS (metadata 'offset')
) SERVER nobroker OPTIONS (topic 'toll', format 'json', event_time 'at');

-- made from explicit offsets, columns by name
CREATE TABLE toll (at timestamptz, toll numeric(10,2), booth int, note text DEFAULT 'none');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 1042, "1": 77}');
SELECT name, topic, target, filter, start_at, options FROM deltaflow.pipeline;
SELECT topic_partition, first_offset, next_offset FROM deltaflow.position ORDER BY 1;

-- names and targets are unique
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', name => 'other');
CREATE TABLE toll2 (booth int);
SELECT deltaflow.create_ingest('toll_topic', 'toll2', start => '{"0": 0}', name => 'toll');
SELECT deltaflow.create_ingest('toll_topic', 'toll2', start => '{"0": 0}', name => '');
SELECT deltaflow.create_ingest('toll_topic', 'toll2', start => '{"0": 0}', name => 'second');

-- a foreign table in use stays with its topic, all else of it may change
ALTER FOREIGN TABLE toll_topic OPTIONS (SET topic 'other');
ALTER FOREIGN TABLE toll_topic RENAME TO tolls;
ALTER FOREIGN TABLE tolls OPTIONS (SET topic 'toll', ADD on_error 'dead_letter');
ALTER FOREIGN TABLE tolls RENAME TO toll_topic;

-- a topic in use stays; dropping the target ends the ingest
DROP FOREIGN TABLE toll_topic;
DROP SERVER nobroker CASCADE;
DROP TABLE toll2;
SELECT name FROM deltaflow.pipeline;
SELECT deltaflow.drop_ingest('toll');
SELECT deltaflow.drop_ingest('toll');
SELECT count(*) FROM deltaflow.position;

-- starts
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => 'yesterday evening');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": -1}');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => NULL);

-- options
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', options => '{"speed": "warp"}');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', options => '{"synchronous_commit": 1}');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', options => '{"discovery_interval": 0}');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', options => '[]');

-- targets
CREATE VIEW v AS SELECT 1 AS booth;
CREATE TEMP TABLE temporary (booth int);
CREATE TABLE wrong_type (booth inet);
CREATE TABLE not_null (booth int, name text NOT NULL);
CREATE TABLE nothing_common (a int, b text);
CREATE TABLE forced (booth int);
ALTER TABLE forced ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT deltaflow.create_ingest('toll_topic', 'v', start => '{"0": 0}');
SELECT deltaflow.create_ingest('toll_topic', 'temporary', start => '{"0": 0}');
SELECT deltaflow.create_ingest('toll_topic', 'wrong_type', start => '{"0": 0}');
SELECT deltaflow.create_ingest('toll_topic', 'not_null', start => '{"0": 0}');
SELECT deltaflow.create_ingest('toll_topic', 'nothing_common', start => '{"0": 0}');
SELECT deltaflow.create_ingest('toll', 'toll', start => '{"0": 0}');
SELECT deltaflow.create_ingest('toll_topic', 'no_such_table', start => '{"0": 0}');

-- assignment casts, domains, identity, generated columns and partitions are fine
CREATE DOMAIN positive AS int DEFAULT 1 CHECK (VALUE > 0);
CREATE TABLE many (
    id bigint GENERATED ALWAYS AS IDENTITY, booth bigint, toll int, at timestamp, p positive,
    double int GENERATED ALWAYS AS (toll * 2) STORED
) PARTITION BY LIST (booth);
SELECT deltaflow.create_ingest('toll_topic', 'many', start => '{"0": 0}');

-- filters
CREATE SCHEMA app;
CREATE FUNCTION app.cheap(numeric) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 5';
SET search_path = public, app;
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', filter => 'cheap(toll) AND booth BETWEEN 1 AND 3');
RESET search_path;
SELECT filter FROM deltaflow.pipeline WHERE name = 'toll';
SELECT deltaflow.drop_ingest('toll');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', filter => 'booth');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', filter => 'lane = 1');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', filter => 'random() < 0.5');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', filter => 'booth IN (SELECT 1)');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', filter => 'count(*) > 1');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', filter => 'true; DROP TABLE toll');
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}', filter => 'true FROM pg_class');

-- transactional
BEGIN;
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}');
ROLLBACK;
SELECT name FROM deltaflow.pipeline ORDER BY name;

-- positions are moved by decision only, and the decision is logged
SELECT deltaflow.pause('many');
SELECT deltaflow.set_position('many', 0, 500);
SELECT deltaflow.set_position('many', 7, 500);
SELECT deltaflow.set_position('many', 0, -1);
SET client_min_messages = notice;
SELECT deltaflow.set_position('many', 0, 100);
SET client_min_messages = warning;
SELECT epoch, topic_partition, first_offset, next_offset, records FROM deltaflow.epoch ORDER BY epoch;
SELECT next_offset FROM deltaflow.position;

-- privileges
CREATE ROLE regress_deltaflow_ingest;
GRANT ALL ON SCHEMA public TO regress_deltaflow_ingest;
SET ROLE regress_deltaflow_ingest;
SELECT deltaflow.create_ingest('toll_topic', 'toll', start => '{"0": 0}');
CREATE TABLE mine (booth int);
SELECT deltaflow.create_ingest('toll_topic', 'mine', start => '{"0": 0}');
SELECT deltaflow.drop_ingest('many');
SELECT deltaflow.set_position('many', 0, 0);
RESET ROLE;
SELECT deltaflow.create_ingest('toll_topic', 'mine', start => '{"0": 0}');
GRANT SELECT ON toll_topic TO regress_deltaflow_ingest;
SET ROLE regress_deltaflow_ingest;
SELECT deltaflow.create_ingest('toll_topic', 'mine', start => '{"0": 0}');
SELECT deltaflow.drop_ingest('mine');
SELECT count(*) FROM deltaflow.pipeline;
RESET ROLE;

-- both in one command
CREATE SCHEMA two;
CREATE TABLE two.target (booth int);
CREATE FOREIGN TABLE two.topic (booth int) SERVER nobroker OPTIONS (topic 'both', format 'json');
SELECT deltaflow.create_ingest('two.topic', 'two.target', start => '{"0": 0}');
DROP SCHEMA two CASCADE;
SELECT name FROM deltaflow.pipeline ORDER BY name;

DROP TABLE many, mine;
SELECT count(*) FROM deltaflow.pipeline;
SELECT count(*) FROM deltaflow.epoch;
DROP OWNED BY regress_deltaflow_ingest;
DROP ROLE regress_deltaflow_ingest;
