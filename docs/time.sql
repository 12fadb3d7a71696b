-- Draws the figures of time.md.  A column is a minute; [===) is a window.
--
--   tools/mock_kafka/mock_kafka --topic pass:2 --port-file port &
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
    RETURN (SELECT pg_temp.line(label, pg_temp.letters(array_agg(plate), array_agg(at))) FROM pass WHERE plate LIKE wanted);

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
TRUNCATE pass;
INSERT INTO pass VALUES ('A', '2024-05-01 10:01'), ('B', '2024-05-01 10:03'), ('A', '2024-05-01 10:04'), ('A', '2024-05-01 10:10'),
    ('B', '2024-05-01 10:14'), ('A', '2024-05-01 10:15'), ('B', '2024-05-01 10:23'), ('A', '2024-05-01 10:24');
\qecho
\qecho tumbling
SELECT pg_temp.axis();
SELECT pg_temp.rows('rows', '%');
SELECT pg_temp.line('count ' || count(*), pg_temp.window(window_start, window_start + '10 min'))
FROM (SELECT date_bin('10 min', at, '2000-01-01') AS window_start FROM pass) p GROUP BY window_start ORDER BY window_start;
\qecho
\qecho hop
SELECT pg_temp.axis();
SELECT pg_temp.rows('rows', '%');
SELECT pg_temp.line('count ' || count(*), pg_temp.window(window_start, window_end))
FROM pass, deltaflow.hop(at, '5 min', '15 min') GROUP BY window_start, window_end ORDER BY window_start;
\qecho
\qecho cumulate
SELECT pg_temp.axis();
SELECT pg_temp.rows('rows', '%');
SELECT pg_temp.line('count ' || count(*), pg_temp.window(window_start, window_end))
FROM pass, deltaflow.cumulate(at, '5 min', '20 min') GROUP BY window_start, window_end ORDER BY window_start, window_end;
\qecho
\qecho session
SELECT pg_temp.axis();
SELECT unnest(pg_temp.rows('rows of ' || plate, plate) || array_agg(line ORDER BY s))
FROM (SELECT plate, s, pg_temp.line('count ' || count(*), pg_temp.window(lower(s), upper(s))) AS line
      FROM (SELECT plate, deltaflow.session(at, '5 min') OVER (PARTITION BY plate ORDER BY at) AS s FROM pass) p
      GROUP BY plate, s) w
GROUP BY plate ORDER BY plate;
