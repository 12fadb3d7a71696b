-- Control and monitoring as a user sees them, without a broker.
CREATE EXTENSION deltaflow;
\set VERBOSITY default

-- names that mean nothing
SELECT deltaflow.pause('nothing');
SELECT deltaflow.resume('no such thing');
SELECT deltaflow.wait('nothing');
SELECT deltaflow.run_once('nothing');
SELECT deltaflow.resume_all();

-- the columns that users and tools rely on
SELECT c.relname, string_agg(a.attname, ', ' ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'deltaflow'::regnamespace AND c.relname IN ('status', 'accounting', 'epochs', 'dead_letters', 'late_rows')
GROUP BY c.relname ORDER BY c.relname;

-- an ingest that is paused before any worker sees it
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE readings_topic (sensor int, value float8) SERVER broker OPTIONS (topic 'readings', format 'json');
CREATE TABLE readings (LIKE readings_topic);
BEGIN;
SELECT deltaflow.create_ingest('readings_topic', target => 'readings', start => '{"0": 5}');
SELECT deltaflow.create_view('by_sensor', 'SELECT sensor, count(*) AS n FROM readings GROUP BY 1');
SELECT deltaflow.pause('readings');
COMMIT;
SELECT name, kind, state, source, lag_records, lag_seconds, rows_per_second, dead_letters, late_rows, last_error, hint
FROM deltaflow.status ORDER BY kind;
SELECT * FROM deltaflow.accounting;
SELECT * FROM deltaflow.epochs;
SELECT deltaflow.run_once('readings');
SELECT deltaflow.wait('readings', '-1 s');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT deltaflow.wait('readings');
ROLLBACK;

-- who may do and see what
CREATE ROLE regress_reader;
INSERT INTO deltaflow.dead_letter (pipeline_id, name, topic, partition, record_offset, stage, sqlstate, message)
SELECT id, name, 'readings', 0, 5, 'decode', '22P02', 'made up' FROM deltaflow.pipeline;
UPDATE deltaflow.pipeline SET last_error = 'made up', hint = 'Do this.';
SELECT name, message FROM deltaflow.dead_letters;
SET ROLE regress_reader;
SELECT deltaflow.pause('readings');
SELECT deltaflow.resume('by_sensor');
SELECT deltaflow.run_once('readings');
SELECT deltaflow.wait('readings');
SELECT deltaflow.resume_all();
SELECT name, state, last_error, hint FROM deltaflow.status ORDER BY kind;
SELECT count(*) FROM deltaflow.dead_letters;
SELECT count(*) FROM deltaflow.late_rows;
SELECT count(*) FROM deltaflow.accounting;
SELECT * FROM deltaflow.pipeline;
DELETE FROM deltaflow.dead_letter;
RESET ROLE;
GRANT pg_read_all_data TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM deltaflow.dead_letters;
RESET ROLE;
DROP OWNED BY regress_reader;
DROP ROLE regress_reader;

-- settings
SHOW deltaflow.enabled;
SELECT name, setting, unit, context FROM pg_settings WHERE name LIKE 'deltaflow.epoch%' OR name IN ('deltaflow.naptime', 'deltaflow.max_workers', 'deltaflow.group_cache') ORDER BY name;
SET deltaflow.naptime = 5;
SET deltaflow.epoch_max_records = 0;
SET deltaflow.no_such_setting = 1;
