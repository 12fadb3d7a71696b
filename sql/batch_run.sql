-- A definition over history, in batch.  No broker is asked: offsets are given.
CREATE EXTENSION deltaflow;
SET client_min_messages = warning;
SET TimeZone = 'UTC';
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE entry_topic (booth int, toll numeric, entry_time timestamptz)
    SERVER broker OPTIONS (topic 'entry', format 'json');
CREATE TABLE entry (booth int, toll numeric, entry_time timestamptz);
SELECT deltaflow.create_ingest('entry_topic', target => 'entry', start => '{"0": 0}');
SELECT deltaflow.create_view('stats', $$
    SELECT booth, date_bin(deltaflow.param('size', interval '10 min'), entry_time, '2000-01-01') AS window_start,
           count(*) AS vehicles, sum(toll) AS tolls, avg(toll) AS mean
    FROM entry WHERE toll < 90 GROUP BY 1, 2 HAVING count(*) > 1 $$);

-- history has its columns in another order, and one dropped
CREATE TABLE history (gone int, entry_time timestamptz, toll numeric, more text, booth int);
ALTER TABLE history DROP COLUMN gone;
INSERT INTO history (booth, toll, entry_time)
SELECT i % 3, i % 100, '2020-01-01 00:00+00'::timestamptz + i * interval '7 s' FROM generate_series(0, 2000) i;

-- makes the target
SELECT deltaflow.run('stats', 'stats_day', '2020-01-01', '2020-01-02', '{"entry": "history"}');
\d stats_day
-- the same answer as by hand, and again after a second run
CREATE VIEW by_hand AS
    SELECT booth, date_bin('10 min', entry_time, '2000-01-01') AS window_start,
           count(*) AS vehicles, sum(toll) AS tolls, avg(toll) AS mean
    FROM history WHERE toll < 90 GROUP BY 1, 2 HAVING count(*) > 1;
SELECT count(*) AS differences FROM ((TABLE stats_day EXCEPT ALL TABLE by_hand) UNION ALL (TABLE by_hand EXCEPT ALL TABLE stats_day)) d;
SELECT deltaflow.run('stats', 'stats_day', '2020-01-01', '2020-01-02', '{"entry": "history"}');
SELECT count(*) AS differences FROM ((TABLE stats_day EXCEPT ALL TABLE by_hand) UNION ALL (TABLE by_hand EXCEPT ALL TABLE stats_day)) d;

-- replaces exactly the range
UPDATE history SET toll = toll + 1;
SELECT deltaflow.run('stats', 'stats_day', '2020-01-01 00:10', '2020-01-01 00:30', '{"entry": "history"}');
SELECT min(window_start), max(window_start), count(*) FROM (TABLE stats_day EXCEPT ALL TABLE by_hand) d;
SELECT DISTINCT window_start FROM (TABLE stats_day INTERSECT ALL TABLE by_hand) d ORDER BY 1;
-- open ends take everything
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": "history"}');
SELECT count(*) AS differences FROM ((TABLE stats_day EXCEPT ALL TABLE by_hand) UNION ALL (TABLE by_hand EXCEPT ALL TABLE stats_day)) d;

-- another size by a parameter; borders are then those of the larger window
SELECT deltaflow.run('stats', 'stats_hour', '2020-01-01', '2020-01-01 01:00', '{"entry": "history"}', '{"size": "1 hour"}');
SELECT window_start, sum(vehicles) FROM stats_hour GROUP BY 1 ORDER BY 1;
SELECT deltaflow.run('stats', 'stats_hour', '2020-01-01 00:10', '2020-01-01 01:00', '{"entry": "history"}', '{"size": "1 hour"}');

-- a partitioned target with a default of its own, and a view as the source
CREATE TABLE parted (LIKE stats_day, loaded bool DEFAULT true) PARTITION BY RANGE (window_start);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2020-01-01 01:00');
CREATE TABLE parted_2 PARTITION OF parted DEFAULT;
CREATE VIEW history_view AS SELECT booth, toll, entry_time FROM history WHERE booth = 1;
SELECT deltaflow.run('stats', 'parted', '2020-01-01', '2020-01-02', '{"entry": "history_view"}');
SELECT tableoid::regclass, count(*), bool_and(loaded), min(booth), max(booth) FROM parted GROUP BY 1 ORDER BY 1;

-- a run that fails leaves the old rows
ALTER TABLE stats_day ADD CHECK (vehicles < 100);
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": "history"}', '{"size": "1 hour"}');
SELECT count(*) AS differences FROM ((TABLE stats_day EXCEPT ALL TABLE by_hand) UNION ALL (TABLE by_hand EXCEPT ALL TABLE stats_day)) d;

-- what is refused
SELECT deltaflow.run('stats', 'stats_day', '2020-01-01 00:05', NULL, '{"entry": "history"}');
SELECT deltaflow.run('stats', 'stats_day', '2020-01-02', '2020-01-01', '{"entry": "history"}');
SELECT deltaflow.run('stats', 'stats_day', '-infinity', NULL, '{"entry": "history"}');
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"history": "history"}');
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": "stats_day"}');
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": null}');
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '["entry"]');
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": "history"}', '{"gap": 1}');
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": "history"}', '{"size": "long"}');
SELECT deltaflow.run('stats', 'history', NULL, NULL, '{"entry": "history"}');
SELECT deltaflow.run('stats', 'by_hand', NULL, NULL, '{"entry": "history"}');
SELECT deltaflow.run('stats', NULL, NULL, NULL);
SELECT deltaflow.run('entry', 'stats_day', NULL, NULL);
SELECT deltaflow.run('nothing', 'stats_day', NULL, NULL);

-- the caller's own privileges count, on source and target
CREATE ROLE regress_runner;
GRANT USAGE ON SCHEMA public, deltaflow TO regress_runner;
SET ROLE regress_runner;
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": "history"}');
RESET ROLE;
GRANT SELECT ON stats_batch, entry TO regress_runner;
GRANT ALL ON stats_day TO regress_runner;
SET ROLE regress_runner;
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": "history"}');
RESET ROLE;
GRANT SELECT ON history TO regress_runner;
SET ROLE regress_runner;
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": "history"}') > 0 AS written;
RESET ROLE;

-- parallel plans are used
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
ALTER TABLE history SET (parallel_workers = 2);
SELECT deltaflow.run('stats', 'stats_day', NULL, NULL, '{"entry": "history"}') > 0 AS written;
SELECT count(*) AS differences FROM ((TABLE stats_day EXCEPT ALL TABLE by_hand) UNION ALL (TABLE by_hand EXCEPT ALL TABLE stats_day)) d;
SELECT count(*) FROM deltaflow.progress;

DROP OWNED BY regress_runner;
DROP ROLE regress_runner;
