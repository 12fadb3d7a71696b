-- Windows as functions of any query: every form, every edge, every refusal.
CREATE EXTENSION deltaflow;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';

--
-- hop: half-open, aligned to the origin, by rising start
--
SELECT * FROM deltaflow.hop('2024-05-01 10:07+00'::timestamptz, '5 min', '15 min');
SELECT * FROM deltaflow.hop('2024-05-01 10:07'::timestamp, '5 min', '15 min');
-- at a window's edge, and a microsecond before
SELECT * FROM deltaflow.hop('2024-05-01 10:05'::timestamp, '5 min', '10 min');
SELECT * FROM deltaflow.hop('2024-05-01 10:04:59.999999'::timestamp, '5 min', '10 min');
-- a size that is no multiple of the slide
SELECT * FROM deltaflow.hop('2024-05-01 10:01'::timestamp, '5 min', '12 min');
SELECT * FROM deltaflow.hop('2024-05-01 10:03'::timestamp, '5 min', '12 min');
-- pauses between windows
SELECT * FROM deltaflow.hop('2024-05-01 10:01'::timestamp, '15 min', '5 min');
SELECT * FROM deltaflow.hop('2024-05-01 10:05'::timestamp, '15 min', '5 min');
-- an origin, before and after the time; of timestamptz the default one is in UTC
SELECT * FROM deltaflow.hop('2024-05-01 10:07'::timestamp, '1 hour', '1 hour', '2024-05-01 00:20');
SELECT * FROM deltaflow.hop('2024-05-01 10:07'::timestamp, '1 hour', '1 hour', origin => '2030-01-01 00:20');
SELECT * FROM deltaflow.hop(ts => '2024-05-01 10:07+05:30', slide => '1 day', size => '1 day');
-- a day is 24 hours, as in date_bin
SET TimeZone = 'Europe/Paris';
SELECT * FROM deltaflow.hop('2024-03-31 12:00'::timestamptz, '1 day', '2 days', '2024-03-30');
SET TimeZone = 'UTC';

--
-- cumulate: windows from a cycle's begin to each of its steps
--
SELECT * FROM deltaflow.cumulate('2024-05-01 10:07+00'::timestamptz, '6 hours', '1 day');
SELECT * FROM deltaflow.cumulate('2024-05-01 12:00'::timestamp, '6 hours', '1 day');
SELECT * FROM deltaflow.cumulate('2024-05-01 11:59:59.999999'::timestamp, '6 hours', '1 day');
SELECT * FROM deltaflow.cumulate('2024-05-01 10:07'::timestamp, '6 hours', '1 day', '2024-01-01 09:00');
SELECT * FROM deltaflow.cumulate('2024-05-01 10:07'::timestamp, '1 day', '1 day');

--
-- far and infinite times
--
SELECT * FROM deltaflow.hop('1999-12-31 23:59:59.999999'::timestamp, '1 s', '2 s');
SELECT * FROM deltaflow.hop('1969-12-31 23:59:59.999999'::timestamp, '1 s', '2 s');
SELECT * FROM deltaflow.hop('4713-01-01 BC'::timestamp, '1 day', '2 days');
SELECT * FROM deltaflow.hop('4714-11-24 BC'::timestamp, '1 day', '3 days');
SELECT * FROM deltaflow.cumulate('4714-11-24 BC'::timestamp, '1 day', '3 days', '2000-01-02');
SELECT * FROM deltaflow.hop('294276-12-31 23:59:59.999999'::timestamp, '1 day', '3 days');
SELECT * FROM deltaflow.cumulate('294276-12-29 12:00'::timestamp, '1 day', '4 days', '294276-12-29');
SELECT * FROM deltaflow.hop('294276-12-31'::timestamp, '106751991 days', '106751991 days', '4714-11-24 BC');
SELECT * FROM deltaflow.hop('infinity'::timestamptz, '1 day', '3 days');
SELECT * FROM deltaflow.cumulate('-infinity'::timestamp, '1 day', '3 days');
-- no time, no windows
SELECT * FROM deltaflow.hop(NULL::timestamptz, '5 min', '15 min');
SELECT * FROM deltaflow.cumulate('2024-05-01'::timestamp, NULL, '15 min');

--
-- in queries
--
CREATE TABLE pass (at timestamptz, booth int, toll numeric);
INSERT INTO pass VALUES
    ('2024-05-01 10:01', 1, 2), ('2024-05-01 10:04', 1, 3), ('2024-05-01 10:05', 2, 5), ('2024-05-01 10:09:59.999999', 1, 7),
    ('2024-05-01 10:10', 1, 11), (NULL, 1, 13), ('2024-05-01 10:31', 2, 17);
SELECT window_start, window_end, count(*), sum(toll)
FROM pass, deltaflow.hop(at, '5 min', '10 min') GROUP BY 1, 2 ORDER BY 1;
SELECT booth, window_end, sum(toll)
FROM pass CROSS JOIN LATERAL deltaflow.cumulate(at, '10 min', '30 min') GROUP BY 1, 2 ORDER BY 1, 2;
-- a row without a window stays in an outer join
SELECT at, w.* FROM pass LEFT JOIN deltaflow.hop(at, '10 min', '2 min') w ON true ORDER BY at;
-- in the list of results
SELECT booth, deltaflow.hop(at, '5 min', '10 min') FROM pass WHERE toll < 4 ORDER BY 1, 2;
SELECT (deltaflow.cumulate(at, '5 min', '10 min')).window_end FROM pass WHERE booth = 2 ORDER BY 1;
-- from another relation's columns; prepared; in a cursor
SELECT slide, count(*) FROM (VALUES ('5 min'::interval), ('1 min')) v(slide), pass, deltaflow.hop(at, slide, '10 min') GROUP BY 1 ORDER BY 1;
PREPARE windows(interval) AS SELECT count(*) FROM pass, deltaflow.hop(at, $1, '10 min');
EXECUTE windows('1 min');
EXECUTE windows('1 s');
BEGIN;
DECLARE c CURSOR FOR SELECT window_start FROM deltaflow.hop('2024-05-01 10:07'::timestamp, '5 min', '15 min');
FETCH 2 FROM c;
FETCH 2 FROM c;
COMMIT;
-- one window per slide is date_bin
SELECT count(*) AS times, count(*) FILTER (WHERE w.window_start <> date_bin('7 min', at, '2001-02-03')) AS differ
FROM generate_series(1, 5000) i,
     LATERAL (SELECT '1990-01-01'::timestamptz + i * interval '1234.567891 min' AS at) t,
     deltaflow.hop(at, '7 min', '7 min', '2001-02-03') w;

-- the planner knows how many windows there will be
CREATE FUNCTION planned_rows(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan #>> '{0,Plan,Plan Rows}';
END $$;
SELECT planned_rows($$SELECT * FROM deltaflow.hop('2024-05-01 10:07'::timestamp, '1 min', '1 hour')$$) AS hop,
       planned_rows($$SELECT * FROM deltaflow.cumulate('2024-05-01 10:07'::timestamp, '1 min', '1 hour')$$) AS cumulate,
       planned_rows($$SELECT * FROM deltaflow.hop('2024-05-01 10:07'::timestamp, '1 hour', '1 min')$$) AS pauses,
       planned_rows($$SELECT * FROM deltaflow.hop(now(), CASE WHEN random() < 2 THEN '1 min'::interval END, '1 hour')$$) AS unknown;

--
-- session: [first, last + gap); exactly the gap separates
--
SELECT booth, at, deltaflow.session(at, '5 min') OVER (PARTITION BY booth ORDER BY at) FROM pass ORDER BY booth, at;
SELECT at, deltaflow.session(at, '00:04:59.999999') OVER (ORDER BY at) FROM pass WHERE at < '2024-05-01 10:20' ORDER BY at;
SELECT booth, s, count(*), sum(toll)
FROM (SELECT *, deltaflow.session(at, '5 min 1 us') OVER (PARTITION BY booth ORDER BY at) AS s FROM pass) p
GROUP BY booth, s ORDER BY booth, s;
-- rows at the same time; timestamp; NULL first; any frame; beside other window functions
SELECT at, deltaflow.session(at, '1 day') OVER w, row_number() OVER w, count(*) OVER w
FROM (VALUES ('2024-05-01'::timestamp), ('2024-05-01'), (NULL), ('2024-05-01 23:00'), (NULL), ('2024-05-02 23:00')) v(at)
WINDOW w AS (ORDER BY at NULLS FIRST ROWS BETWEEN CURRENT ROW AND CURRENT ROW EXCLUDE CURRENT ROW);
-- infinite and far times
SELECT at, deltaflow.session(at, '106751991 days') OVER (ORDER BY at)
FROM (VALUES ('-infinity'::timestamp), ('-infinity'), ('4714-11-24 BC'), ('294276-12-31 23:00'), ('infinity')) v(at);
-- a gap for each key
SELECT k, at, deltaflow.session(at, gap) OVER (PARTITION BY k, gap ORDER BY at)
FROM (VALUES (1, '1 min'::interval, '2024-05-01 10:00'::timestamp), (1, '1 min', '2024-05-01 10:02'),
             (2, '1 hour', '2024-05-01 10:00'), (2, '1 hour', '2024-05-01 10:02'), (3, NULL, '2024-05-01 10:02')) v(k, gap, at)
ORDER BY k, at;
-- no rows, rows without time
SELECT deltaflow.session(at, '5 min') OVER (ORDER BY at) FROM pass WHERE false;
SELECT deltaflow.session(at, '5 min') OVER (ORDER BY at) FROM pass WHERE at IS NULL;
-- the range of a session from its first and last time
SELECT deltaflow.session_range('2024-05-01 10:00'::timestamptz, '2024-05-01 10:04', '5 min'),
       deltaflow.session_range('2024-05-01 10:00'::timestamp, '294276-12-31', '5 days'),
       deltaflow.session_range('infinity'::timestamp, 'infinity', '5 days');

--
-- windows of the calendar: days and hours of a zone through both changes of its clocks
--
SELECT zone, start, deltaflow.window_end(start, 'day', zone) AS "end", deltaflow.window_end(start, 'day', zone) - start AS length,
       count(*) AS half_hours
FROM (VALUES ('Europe/Paris', '2024-03-30 00:00'::timestamptz), ('Europe/Paris', '2024-10-26 00:00'),
             ('Australia/Lord_Howe', '2024-04-06 00:00'), ('Australia/Lord_Howe', '2024-10-05 00:00')) z(zone, around),
     generate_series(around, around + '3 days', '30 min') at,
     LATERAL (SELECT date_trunc('day', at, zone) AS start) s
GROUP BY 1, 2 ORDER BY 1, 2;
-- every time is in its own window, whatever the unit
SELECT zone, unit, count(*) AS times, count(DISTINCT start) AS windows,
       count(*) FILTER (WHERE at < start OR at >= deltaflow.window_end(start, unit, zone)) AS outside
FROM (VALUES ('Europe/Paris'), ('Australia/Lord_Howe'), ('America/Sao_Paulo'), ('UTC')) z(zone),
     (VALUES ('hour'), ('day'), ('week'), ('month'), ('quarter'), ('year')) u(unit),
     generate_series('2018-01-01 00:07'::timestamptz, '2019-02-01', '49 min') at,
     LATERAL (SELECT date_trunc(unit, at, zone) AS start) s
GROUP BY zone, unit ORDER BY 1, 2;

-- of date_bin: at start + stride, or beyond the calendar at infinity
SELECT deltaflow.window_end('2024-05-01 10:00'::timestamp, interval '10 min'), deltaflow.window_end('294276-12-31'::timestamp, interval '1 day'),
       deltaflow.window_end('-infinity'::timestamptz, interval '1 day'), deltaflow.window_end('2024-03-31 00:00+01'::timestamptz, interval '1 day');

--
-- what is refused: the argument, the reason, the way out
--
\set VERBOSITY default
SELECT deltaflow.hop(now(), '1 month', '1 year');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.cumulate(now(), '1 day', '1 month');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.hop(now(), '0', '1 min');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.hop(now(), '1 min', '-1 min');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.hop(now(), '1 day -24 hours', '1 min');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.hop(now(), '1 day', '2147483647 days');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.hop(now(), '1 s', '1001 s');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.cumulate(now(), '7 min', '1 hour');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.hop(now(), '1 min', '1 hour', 'infinity');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.window_end(now(), interval '1 month');
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.session(at, '1 month') OVER (ORDER BY at) FROM pass;
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.session(at, '0') OVER (ORDER BY at) FROM pass;
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.session(at, '5 min') OVER (ORDER BY at DESC) FROM pass;
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.session(at, '5 min') OVER (ORDER BY toll DESC) FROM pass;
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.session(at, toll * interval '1 min') OVER (PARTITION BY booth ORDER BY at) FROM pass;
\echo :LAST_ERROR_SQLSTATE
SELECT deltaflow.session(now(), '5 min');
\echo :LAST_ERROR_SQLSTATE

--
-- numbers drawn with characters
--
SET client_encoding = 'UTF8';
SELECT deltaflow.sparkline(abs(sin(x / 4.0)) ORDER BY x) FROM generate_series(0, 60) x;
SELECT booth, deltaflow.sparkline(toll ORDER BY at), deltaflow.sparkline(toll, 0, 20 ORDER BY at) FROM pass GROUP BY booth ORDER BY booth;
-- gaps, infinities, a scale below zero, no scale, nothing
SELECT deltaflow.sparkline(x), deltaflow.sparkline(x, 0, 16) FROM unnest('{1,NULL,8,Infinity,-Infinity,NaN,-3,0}'::float8[]) x;
SELECT deltaflow.sparkline(0), deltaflow.sparkline(x, NULL, 1e308) FROM unnest('{-1e308,0,1e308}'::float8[]) x;
SELECT deltaflow.sparkline(x) IS NULL FROM generate_series(1, 0) x;
SELECT x, deltaflow.bar(x, max(x) OVER (), 20) || '|' AS bar FROM (VALUES (1), (5.3), (0), (8), (7.9), (-1), (NULL)) v(x) ORDER BY x;
SELECT deltaflow.bar('NaN', 1), deltaflow.bar('Infinity', 1, 3), deltaflow.bar(1, 0, 3), deltaflow.bar(0, 0, 3);
SELECT deltaflow.bar(1, 2, 0);
-- a client that knows no block elements
SET client_encoding = 'LATIN1';
SELECT deltaflow.sparkline(abs(sin(x / 4.0)) ORDER BY x) FROM generate_series(0, 60) x;
SELECT x, deltaflow.bar(x, max(x) OVER (), 20) || '|' AS bar FROM (VALUES (1), (5.3), (8)) v(x) ORDER BY x;
