-- Views over deltaflow.hop and deltaflow.cumulate: what is made, what is refused, how windows are read.
CREATE EXTENSION deltaflow;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE bid_topic (
    auction bigint NOT NULL, price bigint, at timestamptz, f float8, channel text
) SERVER broker OPTIONS (topic 'bid', format 'json', event_time 'at', watermark_delay '4 s');
CREATE TABLE bid (LIKE bid_topic);
INSERT INTO deltaflow.pipeline (name, topic, target, start_at, system_identifier, database_id)
VALUES ('bid', 'bid_topic', 'bid', 'earliest', 0, 0);
RESET client_min_messages;

-- Nexmark q5: bids per auction in hopping windows
SELECT deltaflow.create_view('q5', $$
    SELECT auction, count(*) AS num, window_start, window_end
    FROM bid CROSS JOIN LATERAL deltaflow.hop(at, '2 s', '10 s') AS w GROUP BY auction, window_start, window_end
$$, lateness => '3 s');
\d q5
\d q5_state
SELECT deltaflow.explain('q5');

-- the windows of panes: each once, and which of them takes a group
INSERT INTO q5_state VALUES
    ('2024-01-01 00:00:10', '-infinity', 1, 5), ('2024-01-01 00:00:12', '-infinity', 1, 2),
    ('2024-01-01 00:00:12', '2024-01-01 00:00:18', 1, 1), ('2024-01-01 00:00:30', '-infinity', 2, 7),
    ('infinity', '-infinity', 1, 1), ('-infinity', '-infinity', 1, 1);
SELECT auction, window_start, window_end, num FROM q5 ORDER BY 2, 3, 1;

-- conditions on the window and on keys go down; panes are found by skipping along the index
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query;
END $$;
INSERT INTO q5_state SELECT '2024-02-01'::timestamptz + p * interval '2 s', '-infinity', a, 1 FROM generate_series(1, 200) p, generate_series(1, 50) a;
ANALYZE q5_state;
SET enable_bitmapscan = off;
SELECT regexp_replace(trim(line), '\$\d+|\(InitPlan \d+\).col1', 'horizon') AS line FROM plan_of($$SELECT num FROM q5 WHERE window_start >= '2024-01-01' AND auction = 1$$) line
WHERE line ~ 'Index Cond:|Filter:|Function Scan|Recursive' ORDER BY 1;
PREPARE recent(timestamptz) AS SELECT num FROM q5 WHERE window_end > $1 - interval '1 min' AND window_end <= now();
SET plan_cache_mode = force_generic_plan;
SELECT trim(line) FROM plan_of('EXECUTE recent(''2024-01-01'')') line WHERE line ~ 'Index Cond:.*pane_shift|Index Cond:.*p_1';
RESET plan_cache_mode;
RESET enable_bitmapscan;

-- all the ways of writing it, and expressions above
CREATE VIEW hopped AS SELECT auction % 10 AS shelf, price, f, w.s AS begins FROM bid, deltaflow.hop(at, '1 s', '3 s') AS w(s, e) WHERE price > 0;
SELECT deltaflow.create_view('shelves', $$
    WITH c AS (SELECT shelf + 1 AS shelf, begins, price, f FROM hopped)
    SELECT shelf, begins, begins + '3 s' AS ends, avg(price) AS mean, sum(f) AS f, bit_or(price) AS bits, corr(f, price), max(price) - min(price) AS span
    FROM c GROUP BY shelf, begins HAVING count(*) > 1 AND begins > '2000-01-01'
$$);
SELECT deltaflow.create_view('steps', $$
    SELECT window_end, to_char(window_end, 'HH24:MI') AS ends, channel, sum(price) FROM bid INNER JOIN LATERAL
    deltaflow.cumulate(ts => at, step => deltaflow.param('step', interval '5 min'), size => '1 hour') AS w ON true GROUP BY window_end, 2, channel
$$, lateness => '1 min', emit => 'close');
SELECT deltaflow.create_view('rare', $$
    SELECT window_start, count(*) FROM bid, deltaflow.hop(at::timestamp, '1 min', '10 s', '2000-01-01 00:00:05') w GROUP BY 1
$$);
SELECT relname, trim(line) FROM pg_class, regexp_split_to_table(pg_get_viewdef(oid, true), E'\n') WITH ORDINALITY AS l(line, nr)
WHERE relname IN ('shelves', 'steps', 'rare') AND line ~ 'merge_|sum\(|m..\(|GROUP BY|_windows\(|watermark' ORDER BY relname, nr;
SELECT deltaflow.explain('steps');
SELECT e FROM deltaflow.explain('rare') e WHERE e LIKE '%Filter%' OR e LIKE '%Windows%';

-- run with another step
SELECT deltaflow.run('steps', 'steps_by_half', since => NULL, until => NULL, params => '{"step": "30 min"}');
INSERT INTO bid VALUES (1, 3, '2024-01-01 10:01', 1, 'a'), (1, 4, '2024-01-01 10:41', 1, 'a'), (1, 5, NULL, 1, 'a');
SELECT deltaflow.run('steps', 'steps_by_half', since => '2024-01-01 10:00', until => '2024-01-01 11:00', params => '{"step": "30 min"}');
SELECT * FROM steps_by_half ORDER BY 1;
SELECT count(*), min(window_end), max(window_end) FROM steps_batch;
SELECT deltaflow.run('steps', 'steps_by_half', since => '2024-01-01 10:30', until => NULL);

-- merging states
SELECT deltaflow.merge_float_sum(s) FROM (VALUES (ARRAY[1e16, 1]::float8[]), (ARRAY[-1e16]), (NULL), (ARRAY[0.5])) v(s);
SELECT deltaflow.merge_float_sum(s) FROM (VALUES (ARRAY['Infinity']::float8[]), (ARRAY['-Infinity']::float8[])) v(s);
SELECT deltaflow.merge_float_sum(NULL), deltaflow.merge_bigint(NULL);
SELECT deltaflow.merge_bigint(n) FROM (VALUES (9223372036854775807), (1)) v(n);
SELECT deltaflow.merge_float_sum('{NULL}');
SELECT deltaflow.merge_state('bit_or(bigint)', n) FROM (VALUES (1::bigint), (NULL), (6)) v(n);
SELECT deltaflow.merge_state('bit_or(bigint)', n) FROM (VALUES ('a'::text)) v(n);
SELECT deltaflow.merge_state(a, n) FROM (VALUES ('bit_or(bigint)'::regprocedure, 1::bigint), ('bit_and(bigint)', 2)) v(a, n);
SELECT deltaflow.merge_state('lower(text)', 'a'::text);
SELECT deltaflow.merge_state('max(anyarray)', n) FROM (VALUES (1), (2)) v(n);
SELECT deltaflow.merge_state('max(anyarray)', n) FROM (VALUES ('{1}'::int[]), ('{2}')) v(n);
SELECT deltaflow.merge_state('sum(numeric)', n) FROM (VALUES ('\x00'::bytea), ('\x01')) v(n);

-- refusals
\set VERBOSITY default
CREATE FUNCTION pg_temp.refused(query text, lateness interval DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text; detail text; hint text;
BEGIN
    PERFORM deltaflow.create_view('refused', query, lateness => lateness);
    RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', message, nullif(detail, ''), nullif(hint, ''));
END $$;
\t on
\pset format unaligned
SELECT pg_temp.refused('SELECT count(*) FROM bid CROSS JOIN LATERAL deltaflow.hop(at, ''2 s'', ''10 s'') w GROUP BY auction');
SELECT pg_temp.refused('SELECT count(*) FROM bid CROSS JOIN LATERAL deltaflow.hop(at, ''2 s'', ''10 s'') w GROUP BY date_trunc(''hour'', window_start)');
SELECT pg_temp.refused('SELECT count(*) FROM bid CROSS JOIN LATERAL deltaflow.cumulate(at, ''2 s'', ''10 s'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid CROSS JOIN LATERAL deltaflow.hop(at, ''2 s'', ''10 s'') w WHERE window_start > ''2024-01-01'' GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid JOIN LATERAL deltaflow.hop(at, ''2 s'', ''10 s'') w ON at > window_start GROUP BY window_start');
SELECT pg_temp.refused('SELECT max(window_end) FROM bid CROSS JOIN LATERAL deltaflow.hop(at, ''2 s'', ''10 s'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FILTER (WHERE at > window_start) FROM bid CROSS JOIN LATERAL deltaflow.hop(at, ''2 s'', ''10 s'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*), at - window_start AS d FROM bid CROSS JOIN LATERAL deltaflow.hop(at, ''2 s'', ''10 s'') w GROUP BY window_start, 2');
SELECT pg_temp.refused('SELECT count(*) FROM bid LEFT JOIN LATERAL deltaflow.hop(at, ''2 s'', ''10 s'') w ON true GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(at, ''2 s'', ''10 s'') w, deltaflow.hop(at, ''1 s'', ''10 s'') x GROUP BY w.window_start');
SELECT pg_temp.refused('SELECT count(*) FROM hopped, deltaflow.hop(begins, ''1 s'', ''10 s'') x GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(at, ''2 s'', ''10 s'') WITH ORDINALITY w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, ROWS FROM (deltaflow.hop(at, ''2 s'', ''10 s''), generate_series(1, 2)) AS w(a, b, c) GROUP BY a');
SELECT pg_temp.refused('SELECT w, count(*) FROM bid, deltaflow.hop(at, ''2 s'', ''10 s'') w GROUP BY w');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(at, price * interval ''2 s'', ''10 s'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(at, ''2 s'', ''10 s'', at) w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.cumulate(at, ''2 s'', now() - ''2024-01-01'') w GROUP BY window_end');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(at, ''2 s'', NULL) w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(at, ''2 s'', ''1 month'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(at, ''-2 s'', ''10 s'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(at, ''1 ms'', ''10 s'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.cumulate(at, ''3 s'', ''10 s'') w GROUP BY window_end');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(at + random() * interval ''1 s'', ''2 s'', ''10 s'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM deltaflow.hop(''2024-01-01''::timestamptz, ''2 s'', ''10 s'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid a JOIN bid b USING (auction) CROSS JOIN LATERAL deltaflow.hop(a.at, ''2 s'', ''10 s'') w GROUP BY window_start');
SELECT pg_temp.refused('SELECT count(*) FROM bid, deltaflow.hop(to_timestamp(price), ''2 s'', ''10 s'') w GROUP BY window_start', lateness => '1 s');
