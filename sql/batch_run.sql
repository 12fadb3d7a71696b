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

-- parameters count wherever they are written: in plain views below, in WHERE, FILTER, GROUP BY, HAVING and a window's arguments
CREATE VIEW cheap AS SELECT booth % deltaflow.param('lanes', 2) AS lane, toll, entry_time FROM entry WHERE toll < deltaflow.param('most', 90.0);
CREATE VIEW cheaper AS WITH c AS (SELECT * FROM cheap WHERE toll >= deltaflow.param('least', 0.0)) SELECT * FROM c;
SELECT deltaflow.create_view('lanes', $$
    SELECT lane + deltaflow.param('first', 0) AS lane, window_start, count(*) FILTER (WHERE toll > deltaflow.param('dear', 50.0)) AS dear, count(*) AS n
    FROM cheaper CROSS JOIN LATERAL deltaflow.hop(entry_time, deltaflow.param('slide', interval '5 min'), deltaflow.param('size', interval '10 min'))
    GROUP BY 1, 2 HAVING count(*) > deltaflow.param('few', 1) $$);
SELECT deltaflow.run('lanes', 'lanes_now', NULL, NULL, '{"entry": "history"}') > 0 AS written;
SELECT deltaflow.run('lanes', 'lanes_then', NULL, NULL, '{"entry": "history"}',
    '{"lanes": 3, "most": 80, "least": "20.5", "first": 1, "dear": 60, "slide": "20 min", "size": "1 hour", "few": 20}') > 0 AS written;
CREATE VIEW lanes_by_hand AS
    SELECT booth % 3 + 1 AS lane, window_start, count(*) FILTER (WHERE toll > 60) AS dear, count(*) AS n
    FROM history CROSS JOIN LATERAL deltaflow.hop(entry_time, '20 min', '1 hour')
    WHERE toll < 80 AND toll >= 20.5 GROUP BY 1, 2 HAVING count(*) > 20;
SELECT count(*) AS differences, (SELECT count(*) > 0 FROM lanes_by_hand) AS any
    FROM ((TABLE lanes_then EXCEPT ALL TABLE lanes_by_hand) UNION ALL (TABLE lanes_by_hand EXCEPT ALL TABLE lanes_then)) d;
-- in the arguments of session() and its PARTITION BY
CREATE VIEW gaps AS SELECT toll % deltaflow.param('lanes', 2) AS lane,
    deltaflow.session(entry_time, deltaflow.param('gap', interval '5 s')) OVER (PARTITION BY toll % deltaflow.param('lanes', 2) ORDER BY entry_time) AS s FROM entry;
SELECT deltaflow.create_view('gaps_kept', 'SELECT lane, s, count(*) AS n FROM gaps GROUP BY lane, s');
SELECT deltaflow.run('gaps_kept', 'gaps_then', NULL, NULL, '{"entry": "history"}', '{"lanes": 3, "gap": "22 s"}');
SELECT count(*) AS differences FROM (TABLE gaps_then EXCEPT ALL
    SELECT lane, s, count(*) FROM (SELECT toll % 3 AS lane, deltaflow.session(entry_time, '22 s') OVER (PARTITION BY toll % 3 ORDER BY entry_time) AS s FROM history) h GROUP BY 1, 2) d;
SELECT deltaflow.run('lanes', 'lanes_then', NULL, NULL, '{"entry": "history"}', '{"lane": 3}');

-- a time that is computed, with constants in it that are folded
SELECT deltaflow.create_view('next_day', $$
    SELECT date_trunc('hour', entry_time + 24 * interval '1 hour') AS window_start, count(*) AS n FROM entry GROUP BY 1 $$);
SELECT deltaflow.run('next_day', 'next_days', '2020-01-02 01:00', '2020-01-02 03:00', '{"entry": "history"}');
SELECT * FROM next_days ORDER BY 1;
SELECT deltaflow.run('next_day', 'next_days', '2020-01-02 01:30', NULL, '{"entry": "history"}');

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
