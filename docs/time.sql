-- Draws the figures of time.md, from live views.  A column is a minute; [===) is a window.
-- (On a server with deltaflow.enabled = off: epochs are made by hand here.)
--
--   tools/mock_kafka/mock_kafka --topic pass:2 --topic toll:1 --port-file port &
--   psql -X -q -v broker="$(cat port)" -f docs/time.sql
SET TimeZone = 'UTC';
CREATE EXTENSION deltaflow;
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" :'broker');
CREATE USER MAPPING FOR PUBLIC SERVER broker;
CREATE FOREIGN TABLE pass_topic (
    plate text, at timestamptz,
    part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset')
) SERVER broker OPTIONS (topic 'pass', format 'json', event_time 'at', watermark_delay '2 min');
CREATE TABLE pass (plate text, at timestamptz);
CREATE FOREIGN TABLE toll_topic (plate text, at timestamptz) SERVER broker OPTIONS (topic 'toll', format 'json', event_time 'at');
CREATE TABLE toll (LIKE toll_topic);

\pset format unaligned
\pset tuples_only on
CREATE FUNCTION pg_temp.col(t timestamptz) RETURNS int LANGUAGE sql
    RETURN extract(epoch FROM t - '2024-05-01 09:50+00') / 60 + 1;
CREATE FUNCTION pg_temp.line(label text, drawing text) RETURNS text LANGUAGE sql
    RETURN rpad(label, 18) || rtrim(drawing);
CREATE FUNCTION pg_temp.window(s timestamptz, e timestamptz) RETURNS text LANGUAGE sql
    RETURN repeat(' ', pg_temp.col(s) - 1) || '[' || repeat('=', pg_temp.col(e) - pg_temp.col(s) - 1) || ')';
CREATE FUNCTION pg_temp.axis() RETURNS text LANGUAGE sql
    RETURN (SELECT pg_temp.line('', string_agg(rpad(to_char(m, 'HH24:MI'), 10), '' ORDER BY m))
            FROM generate_series('2024-05-01 09:50+00'::timestamptz, '2024-05-01 10:40+00', '10 min') m);
CREATE FUNCTION pg_temp.letters(plates text[], ats timestamptz[]) RETURNS text LANGUAGE sql
    RETURN (SELECT string_agg(coalesce(plate, ' '), '' ORDER BY c)
            FROM generate_series(1, 56) c LEFT JOIN unnest(plates, ats) p(plate, at) ON pg_temp.col(at) = c);
CREATE FUNCTION pg_temp.rows(label text, wanted text) RETURNS text LANGUAGE sql
    RETURN (SELECT pg_temp.line(label, pg_temp.letters(array_agg(plate), array_agg(at))) FROM toll WHERE plate LIKE wanted);

-- the watermark: four epochs, by hand
\o /dev/null
SELECT deltaflow.create_ingest('pass_topic', target => 'pass');
SELECT deltaflow.create_view('passes', $$
    SELECT date_bin('10 min', at, '2000-01-01') AS window_start, count(*) FROM pass GROUP BY 1 $$, lateness => '3 min');
INSERT INTO pass_topic VALUES ('A', '2024-05-01 10:01', 0), ('B', '2024-05-01 10:03', 1);
SELECT deltaflow.run_once('pass');
INSERT INTO pass_topic VALUES ('A', '2024-05-01 10:12', 0), ('B', '2024-05-01 10:14', 1);
SELECT deltaflow.run_once('pass');
INSERT INTO pass_topic VALUES ('A', '2024-05-01 10:16', 0), ('B', '2024-05-01 10:08', 1), ('B', '2024-05-01 10:23', 1);
SELECT deltaflow.run_once('pass');
INSERT INTO pass_topic VALUES ('A', '2024-05-01 10:09', 0), ('B', '2024-05-01 10:24', 1);
SELECT deltaflow.run_once('pass');
\o
\qecho watermark
SELECT pg_temp.axis();
SELECT pg_temp.line('epoch ' || epoch, CASE WHEN watermark IS NULL THEN drawing ELSE overlay(drawing PLACING '|' FROM pg_temp.col(watermark)) END)
FROM (SELECT epoch, watermark, pg_temp.letters(array_agg(plate), array_agg(at)) AS drawing
      FROM deltaflow.epochs JOIN pass_topic ON part = partition AND off >= first_offset AND off < next_offset
      GROUP BY epoch, watermark) e
ORDER BY epoch;
\pset format aligned
\pset tuples_only off
SELECT *, deltaflow.is_final('passes', window_start + '10 min') FROM passes ORDER BY 1;
SELECT epoch, partition, record_offset, event_time, window_end FROM deltaflow.late_rows;
\pset format unaligned
\pset tuples_only on

-- the windows: the same rows under each kind
\o /dev/null
SELECT deltaflow.create_ingest('toll_topic', target => 'toll');
SELECT deltaflow.create_view('tumbling', $$
    SELECT date_bin('10 min', at, '2000-01-01') AS window_start, count(*) FROM toll GROUP BY 1 $$);
SELECT deltaflow.create_view('hopping', $$
    SELECT window_start, window_end, count(*) FROM toll, deltaflow.hop(at, '5 min', '15 min') GROUP BY 1, 2 $$);
SELECT deltaflow.create_view('cumulative', $$
    SELECT window_start, window_end, count(*) FROM toll, deltaflow.cumulate(at, '5 min', '20 min') GROUP BY 1, 2 $$);
SELECT deltaflow.create_view('sessions', $$
    SELECT plate, s AS session, count(*)
    FROM (SELECT plate, deltaflow.session(at, '5 min') OVER (PARTITION BY plate ORDER BY at) AS s FROM toll) p
    GROUP BY plate, s $$);
INSERT INTO toll_topic VALUES ('A', '2024-05-01 10:01'), ('B', '2024-05-01 10:03'), ('A', '2024-05-01 10:04'), ('A', '2024-05-01 10:10'),
    ('B', '2024-05-01 10:14'), ('A', '2024-05-01 10:15'), ('B', '2024-05-01 10:23'), ('A', '2024-05-01 10:24');
SELECT deltaflow.run_once('toll');
\o
\qecho
\qecho tumbling
SELECT pg_temp.axis();
SELECT pg_temp.rows('rows', '%');
SELECT pg_temp.line('count ' || count, pg_temp.window(window_start, window_start + '10 min')) FROM tumbling ORDER BY window_start;
\qecho
\qecho hopping
SELECT pg_temp.axis();
SELECT pg_temp.rows('rows', '%');
SELECT pg_temp.line('count ' || count, pg_temp.window(window_start, window_end)) FROM hopping ORDER BY window_start;
\qecho
\qecho cumulative
SELECT pg_temp.axis();
SELECT pg_temp.rows('rows', '%');
SELECT pg_temp.line('count ' || count, pg_temp.window(window_start, window_end)) FROM cumulative ORDER BY window_start, window_end;
\qecho
\qecho sessions
SELECT pg_temp.axis();
SELECT unnest(pg_temp.rows('rows of ' || plate, plate) ||
              array_agg(pg_temp.line('count ' || count, pg_temp.window(lower(session), upper(session))) ORDER BY session))
FROM sessions GROUP BY plate ORDER BY plate;
\qecho
\qecho days
\pset format aligned
\pset tuples_only off
SELECT zone, start, deltaflow.window_end(start, 'day', zone) - start AS lasts
FROM (VALUES ('Europe/Paris', '2024-03-31 12:00+00'::timestamptz), ('Europe/Paris', '2024-10-27 12:00+00'),
             ('Australia/Lord_Howe', '2024-04-07 00:00+00'), ('Australia/Lord_Howe', '2024-10-06 00:00+00')) v(zone, at),
     date_trunc('day', at, zone) AS start;
