-- The wrapper's validator and what topic_load refuses: no broker is needed.
CREATE EXTENSION deltaflow;

-- wrapper
ALTER FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS (ADD debug 'all');

-- servers: librdkafka's options, but not all of them
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka;
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.server" 'localhost:9092');
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'kafka://localhost');
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:9092', "group.id" 'g');
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:9092', "plugin.library.paths" '/tmp/x.so');
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:9092', "sasl.password" 'secret');
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:9092', topic 'x');
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:9092', "client.id" 'deltaflow');
ALTER SERVER broker OPTIONS (DROP "bootstrap.servers");
ALTER SERVER broker OPTIONS (SET "client.id" 'other', ADD "security.protocol" 'sasl_ssl', ADD "sasl.mechanism" 'SCRAM-SHA-256');
ALTER SERVER broker OPTIONS (SET "security.protocol" 'telnet');

-- user mappings: secrets live here
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS ("sasl.username" 'u', "sasl.passwort" 'p');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE USER MAPPING FOR CURRENT_USER SERVER broker OPTIONS ("sasl.username" 'u', "sasl.password" 'p');

-- topics
CREATE FOREIGN TABLE t (a int) SERVER broker;
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic '');
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic 'a/b');
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic 'a', topics 'b');
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic 'a', compression_of_what 'b');
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic 'a', format 'xml');
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic 'a', key_format 'csv');
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic 'a', delimiter ';');
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic 'a', "bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic 'a', "fetch.max.bytes" '1');
CREATE FOREIGN TABLE t (a int) SERVER broker OPTIONS (topic 'a', watermark_delay '30');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', watermark_delay 'soon');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', watermark_delay '-1 s');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', max_future '1 month');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', idle_timeout '');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', idle_timeout '0');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', on_future 'clamp');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', on_error 'ignore');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', event_time '');

-- start
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start 'first');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start '2024-01-01 10:00');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start 'now');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start 'yesterday 10:00+00');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start 'infinity');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start '{}');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start '{"0": -1}');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start '{"0": 1, "0": 2}');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start '{"0": 1');
CREATE FOREIGN TABLE u (a int) SERVER broker OPTIONS (topic 'a', start '{"0": 99999999999999999999}');
ALTER FOREIGN TABLE t OPTIONS (ADD start '2024-01-01 10:00+01');
ALTER FOREIGN TABLE t OPTIONS (SET start '2024-01-01T10:00:00Z');
ALTER FOREIGN TABLE t OPTIONS (SET start '2024-01-01 10:00 Europe/Berlin');
ALTER FOREIGN TABLE t OPTIONS (SET start 'latest');
ALTER FOREIGN TABLE t OPTIONS (SET start ' {"0": 1042, "12":9223372036854775807} ');
ALTER FOREIGN TABLE t OPTIONS (DROP topic);

-- columns
CREATE FOREIGN TABLE u (a int OPTIONS (metadata 'ofset')) SERVER broker OPTIONS (topic 'a');
CREATE FOREIGN TABLE u (a int OPTIONS (meta 'offset')) SERVER broker OPTIONS (topic 'a');
CREATE FOREIGN TABLE u (a int OPTIONS (something 'x')) SERVER broker OPTIONS (topic 'a');
CREATE FOREIGN TABLE u (a int OPTIONS (field 'a..b')) SERVER broker OPTIONS (topic 'a');
CREATE FOREIGN TABLE u (a timestamptz OPTIONS (unit 'minutes')) SERVER broker OPTIONS (topic 'a');
CREATE FOREIGN TABLE u (a bigint OPTIONS (metadata 'offset', field 'a')) SERVER broker OPTIONS (topic 'a');

-- a good one, and what needs the list of columns: told when the topic is used
CREATE FOREIGN TABLE good (
    a int OPTIONS (field 'x.y\.z'), happened timestamptz OPTIONS (unit 'ms'),
    part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'),
    arrived timestamptz OPTIONS (metadata 'timestamp'), k text OPTIONS (metadata 'key'),
    h jsonb OPTIONS (metadata 'headers'), name text OPTIONS (metadata 'topic'),
    rest jsonb OPTIONS (metadata 'unknown_fields')
) SERVER broker OPTIONS (topic 'a', format 'json', key_format 'json', start 'earliest', event_time 'happened',
    watermark_delay '30 s', max_future '1 day', on_future 'dead_letter', idle_timeout '5 min', on_error 'stop',
    "fetch.wait.max.ms" '10', "compression.codec" 'lz4');
EXPLAIN (COSTS OFF) SELECT * FROM good;
ALTER FOREIGN TABLE good OPTIONS (SET event_time 'nothing');
EXPLAIN (COSTS OFF) SELECT * FROM good;
ALTER FOREIGN TABLE good OPTIONS (SET event_time 'a');
EXPLAIN (COSTS OFF) SELECT * FROM good;
ALTER FOREIGN TABLE good OPTIONS (SET event_time 'arrived');
EXPLAIN (COSTS OFF) SELECT * FROM good;
ALTER FOREIGN TABLE good ALTER off TYPE int;
EXPLAIN (COSTS OFF) SELECT * FROM good;
ALTER FOREIGN TABLE good ALTER off TYPE bigint, ADD off2 bigint OPTIONS (metadata 'offset');
EXPLAIN (COSTS OFF) SELECT * FROM good;
ALTER FOREIGN TABLE good DROP off2, ADD n int OPTIONS (unit 's');
EXPLAIN (COSTS OFF) SELECT * FROM good;
ALTER FOREIGN TABLE good DROP n;

-- who may set options that name files
CREATE ROLE regress_fdw_options;
GRANT USAGE ON FOREIGN DATA WRAPPER deltaflow_kafka TO regress_fdw_options;
SET ROLE regress_fdw_options;
CREATE SERVER mine FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:9092', "ssl.ca.location" '/etc/ssl/ca.pem');
CREATE SERVER mine FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:9092');
CREATE USER MAPPING FOR CURRENT_USER SERVER mine OPTIONS ("ssl.key.location" '/etc/ssl/private/key.pem');
RESET ROLE;
DROP SERVER mine CASCADE;
REVOKE USAGE ON FOREIGN DATA WRAPPER deltaflow_kafka FROM regress_fdw_options;
DROP ROLE regress_fdw_options;

-- a log is not changed
UPDATE good SET a = 1;
DELETE FROM good;
TRUNCATE good;
ANALYZE good;
SELECT is_insertable_into, table_type FROM information_schema.tables WHERE table_name = 'good';
SELECT pg_relation_is_updatable('good', false);

-- a setting
\set VERBOSITY sqlstate
SET deltaflow.broker_timeout = '1 ms';
\set VERBOSITY default
SET deltaflow.broker_timeout = '2 s';
SHOW deltaflow.broker_timeout;
