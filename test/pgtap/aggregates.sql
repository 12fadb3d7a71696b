-- Every native aggregate over every type it takes, in every kind of window, over rows
-- with NULLs, duplicates, extremes, NaN and infinities: the state folded from the
-- stored rows gives exactly the answer of the definition.  No broker is asked.
SET client_min_messages = warning;
SET TimeZone = 'America/New_York';
SELECT setseed(0.25);

CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE TABLE input (
    k int, at timestamptz, i2 smallint, i4 int, i8 bigint, n numeric, f4 real, f8 double precision,
    b boolean, d date, ts timestamp, t text, iv interval, bits bit(8), ip inet);

-- The topic has the table's columns.
SELECT format('CREATE FOREIGN TABLE input_topic (%s) SERVER broker OPTIONS (topic ''input'', format ''json'')',
              string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum))
FROM pg_attribute WHERE attrelid = 'input'::regclass AND attnum > 0 \gexec
SELECT deltaflow.create_ingest('input_topic', target => 'input', start => '{"0": 0}');

-- Around the end of summer time, so that days and hours of the zone are uneven.
INSERT INTO input
SELECT (random() * 5)::int, '2024-11-02 18:00-04'::timestamptz + random() * interval '30 hours',
       (random() * 65535 - 32768)::smallint, (random() * 4294967295 - 2147483648)::int,
       (random() * 1e18)::bigint - 5e17::bigint, (random() * 1e12)::numeric(30, 8) - 5e11,
       (random() * 100)::real, (random() - 0.5) * 10 ^ (random() * 30 - 15)::int,
       random() < 0.9, '2024-01-01'::date + (random() * 400)::int, '2024-01-01'::timestamp + random() * interval '400 days',
       md5((random() * 300)::int::text), random() * interval '3 months', (random() * 255)::int::bit(8),
       '10.0.0.0'::inet + (random() * 16777215)::int
FROM generate_series(1, 4000);
-- NULLs, one column after the other
UPDATE input SET i2 = NULL WHERE random() < 0.1;
UPDATE input SET i4 = NULL, n = NULL WHERE random() < 0.1;
UPDATE input SET i8 = NULL, f8 = NULL, b = NULL WHERE random() < 0.1;
UPDATE input SET k = NULL WHERE random() < 0.05;
UPDATE input SET t = NULL, d = NULL, ts = NULL, iv = NULL, bits = NULL, ip = NULL WHERE random() < 0.2;
UPDATE input SET at = NULL WHERE random() < 0.01;
-- and the special values, each in a group or two
UPDATE input SET n = 'NaN' WHERE k = 1 AND random() < 0.002;
UPDATE input SET n = 'Infinity' WHERE k = 2 AND random() < 0.002;
UPDATE input SET f8 = '-Infinity' WHERE k = 3 AND random() < 0.002;
UPDATE input SET f8 = 'NaN', f4 = 'NaN' WHERE k = 4 AND random() < 0.002;
UPDATE input SET f8 = -0.0, f4 = -0.0 WHERE k = 5;

CREATE TABLE aggregate_case (name text, list text, exact boolean);
INSERT INTO aggregate_case VALUES
    ('counts', 'count(*) AS a, count(i4) AS b, count(*) FILTER (WHERE i2 > 0) AS c, count(t) FILTER (WHERE b) AS d', true),
    ('int2', 'sum(i2) AS a, avg(i2) AS b, min(i2) AS c, max(i2) AS d, bit_and(i2) AS e, bit_or(i2) AS f, bit_xor(i2) AS g', true),
    ('int4', 'sum(i4) AS a, avg(i4) AS b, min(i4) AS c, max(i4) AS d, bit_and(i4) AS e, bit_or(i4) AS f, bit_xor(i4) AS g', true),
    ('int8', 'sum(i8) AS a, avg(i8) AS b, min(i8) AS c, max(i8) AS d, bit_and(i8) AS e, bit_or(i8) AS f, bit_xor(i8) AS g', true),
    ('numeric', 'sum(n) AS a, avg(n) AS b, min(n) AS c, max(n) AS d', true),
    ('variance', 'variance(i2) AS a, stddev(i4) AS b, var_pop(i8) AS c, stddev_pop(n) AS d, var_samp(n) AS e, stddev_samp(i8) AS f', true),
    ('booleans', 'bool_and(b) AS a, bool_or(b) AS b, every(i4 > -1000000000) AS c', true),
    ('others', 'min(d) AS a, max(ts) AS b, min(t) AS c, max(iv) AS d, bit_or(bits) AS e, max(ip) AS f, min(at) AS g', true),
    ('expressions', 'sum(i4::bigint * 2 + coalesce(i2, 0)) AS a, round(avg(n), 3) + 1 AS b, sum(i4) / nullif(count(i4), 0) AS c, max(upper(t)) || ''!'' AS d', true),
    ('floats', 'sum(f8) AS a, avg(f8) AS b, min(f8) AS c, max(f8) AS d, sum(f4) AS e, avg(f4) AS f', false),
    ('float_variance', 'variance(f4) AS a, stddev_pop(f4) AS b', false);

CREATE TABLE window_case (name text, keys text, grouping_clause text);
INSERT INTO window_case VALUES
    ('none', 'k', 'GROUP BY 1'),
    ('global', '', ''),
    ('bin', 'k, date_bin(''7 min'', at, ''2000-01-01'') AS w', 'GROUP BY 1, 2'),
    ('day', 'date_trunc(''day'', at, ''America/New_York'') AS w, k', 'GROUP BY 1, 2'),
    ('hour', 'date_trunc(''hour'', ts) AS w', 'GROUP BY 1'),
    ('expression', 'k % 2 AS odd, t IS NULL AS no_text', 'GROUP BY 1, 2 HAVING count(*) > 3');

CREATE TABLE test_case AS
SELECT a.name || '_' || w.name AS name, a.exact,
       'SELECT ' || concat_ws(', ', nullif(w.keys, ''), a.list) || ' FROM input ' || w.grouping_clause AS query
FROM aggregate_case a, window_case w;

SELECT count(deltaflow.create_view(name, query)) FROM test_case;

-- Workers fill the new views; a view that is filled follows its source.
DO $$
BEGIN
    FOR i IN 1 .. 600 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM deltaflow.status WHERE state = 'backfilling');
        COMMIT;
        PERFORM pg_sleep(0.1);
    END LOOP;
END $$;

SELECT plan((SELECT 3 * count(*)::int + 2 FROM test_case));

SELECT is((SELECT count(*) FROM deltaflow.status WHERE state <> 'running')::int, 0, 'every view runs');

-- Exact types: equal row by row, as a multiset, in both directions.
CREATE FUNCTION differences(view text, exact boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    IF exact THEN
        EXECUTE format('SELECT count(*) FROM ((TABLE %1$I EXCEPT ALL TABLE %2$I) UNION ALL (TABLE %2$I EXCEPT ALL TABLE %1$I)) d', view, view || '_batch') INTO n;
    ELSE
        SELECT count(*) INTO n FROM deltaflow.reconcile(view);
    END IF;
    RETURN n;
END $$;

SELECT is(differences(name, exact), 0::bigint, name || ': as filled') FROM test_case ORDER BY name;

-- What was not told to the views is found, and corrected in place.
INSERT INTO input SELECT * FROM input WHERE random() < 0.1;
DELETE FROM input WHERE random() < 0.1;
SELECT isnt(sum(differences(name, exact)), 0::numeric, 'changes behind the views'' backs are seen') FROM test_case;
SELECT cmp_ok(deltaflow.recompute(name), '>=', 0::bigint, name || ': recomputed') FROM test_case ORDER BY name;
SELECT is(differences(name, exact), 0::bigint, name || ': after recompute') FROM test_case ORDER BY name;
SELECT * FROM finish();
