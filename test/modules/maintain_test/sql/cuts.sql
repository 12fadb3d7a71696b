-- Whatever the cuts, cold starts, cache bounds and order of rows: the same state, and
-- it equals the definition's own answer.
CREATE EXTENSION deltaflow;
CREATE EXTENSION maintain_test;
SET extra_float_digits = 1;
SET timezone = 'Europe/Paris';
SET client_min_messages = warning;

SELECT maintain_numeric_images(100000, 1);

-- Values of every type in a reproducible mixture: NULLs, ties of unequal images,
-- mixed scales, cancellation.
CREATE TABLE event (
    at timestamptz, k int, name text, amount numeric, small smallint, i int, big bigint,
    f4 real, f8 float8, day date, clock time, span interval, flag boolean, bits bit(8), tag varchar, code char(4), id uuid);
INSERT INTO event
SELECT CASE WHEN g % 97 = 0 THEN NULL ELSE timestamptz '2024-10-27 00:00:00+02' + g * interval '7.3 s' END,
       nullif(g % 13, 0),
       CASE WHEN g % 11 = 0 THEN NULL ELSE 'name ' || g % 17 END,
       CASE g % 9 WHEN 0 THEN NULL WHEN 1 THEN (g % 100)::numeric(10,2) WHEN 2 THEN (g::bigint * 1000003 % 7919)::numeric / 7
                  WHEN 3 THEN -(g % 50)::numeric(12,4) WHEN 4 THEN g::numeric * 1e25 WHEN 5 THEN g / 1e20::numeric
                  ELSE (g * 31 % 1000)::numeric / 100 END,
       nullif(g % 400, 7), nullif((g::bigint * 48271 % 2000003)::int - 1000000, 5), g::bigint * 450359962737049 * CASE WHEN g % 2 = 0 THEN 1 ELSE -1 END,
       (g % 1000) / 7.0, (g::bigint * 48271 % 100003)::float8 / 1000 * CASE WHEN g % 3 = 0 THEN 1e10 ELSE 1 END,
       date '2024-01-01' + g % 366, time '00:00' + g % 1440 * interval '1 min', g % 100 * interval '1 h 3 s' + g % 5 * interval '1 month',
       nullif(g % 3, 2) = 1, (g % 256)::bit(8), CASE WHEN g % 5 = 0 THEN NULL ELSE md5((g % 401)::text) END, left(md5((g % 77)::text), g % 5),
       md5((g % 1009)::text)::uuid
FROM generate_series(1, 6000) g;
SELECT maintain_source('event');

-- Checks one view over all ways to fold its source.
CREATE FUNCTION check_cuts(live regclass, state regclass, batch regclass, source regclass DEFAULT 'event') RETURNS SETOF text
    LANGUAGE plpgsql AS $$
DECLARE
    first_state text;
    this_state text;
    run record;
BEGIN
    FOR seed IN 0..20 LOOP
        EXECUTE format('TRUNCATE %s', state);
        SELECT * INTO run FROM maintain_fold(live, source, seed => seed, shuffle => seed % 2 = 1 AND seed > 1, batch_rows => 500,
                                             cache_kb => CASE seed % 3 WHEN 0 THEN 65536 WHEN 1 THEN 1 ELSE 300 END);
        this_state := maintain_state_md5(state);
        first_state := coalesce(first_state, this_state);
        IF this_state IS DISTINCT FROM first_state THEN
            RETURN NEXT format('state differs with seed %s', seed);
        END IF;
        IF run.late <> 0 THEN
            RETURN NEXT 'late rows';
        END IF;
    END LOOP;
    FOR kb IN 1..2 LOOP
        EXECUTE format('TRUNCATE %s', state);
        PERFORM maintain_fill(live, source, cache_kb => kb * kb * kb * kb * 64);
        IF maintain_state_md5(state) IS DISTINCT FROM first_state THEN
            RETURN NEXT 'state differs when filled';
        END IF;
    END LOOP;
    RETURN QUERY SELECT * FROM maintain_differences(live, batch);
END $$;

-- Exact aggregates, two keys with NULLs, a window.
SELECT deltaflow.create_view('exact', $$
    SELECT date_bin('10 min', at, '2000-01-01') AS w, k, count(*) AS n, count(name) AS names, sum(small) AS s2, sum(i) AS s4, sum(big) AS s8,
           sum(amount) AS sn, avg(small) AS a2, avg(i) AS a4, avg(big) AS a8, avg(amount) AS an,
           min(i) AS lo, max(i) AS hi, min(name) AS first, max(name COLLATE "C") AS last, min(day) AS d, max(clock) AS c,
           max(at) AS t, min(amount) AS least, bool_and(flag) AS every, bool_or(flag) AS some, bit_and(small) AS ba, bit_or(i) AS bo,
           sum(i) FILTER (WHERE flag) AS sf, count(*) FILTER (WHERE i > 0 AND flag IS NOT NULL) AS nf
    FROM event WHERE i IS DISTINCT FROM 17 GROUP BY 1, 2 $$);
SELECT * FROM check_cuts('exact', 'exact_state', 'exact_batch');

-- Variance over exact types; no window; one global group.
SELECT deltaflow.create_view('spread', $$
    SELECT count(*) AS n, var_pop(small) AS v2, stddev(i) AS v4, variance(big) AS v8, stddev_pop(amount) AS vn, sum(amount) AS sn, max(span) AS span
    FROM event $$);
SELECT * FROM check_cuts('spread', 'spread_state', 'spread_batch');

-- Keys of by-reference types, equal keys with different images, date_trunc in a zone.
SELECT deltaflow.create_view('keyed', $$
    SELECT date_trunc('hour', at) AS h, name, code, id, count(*) AS n, max(tag) AS tag, min(bits::text) AS bits
    FROM event GROUP BY 1, 2, 3, 4 $$);
SELECT * FROM check_cuts('keyed', 'keyed_state', 'keyed_batch');

-- Aggregates kept by their own transition states.
SELECT deltaflow.create_view('other', $$
    SELECT k, sum(span) AS span, bit_xor(i) AS bx, regr_count(i, small) AS rc, bit_or(bits) AS bits
    FROM event GROUP BY 1 $$);
SELECT * FROM check_cuts('other', 'other_state', 'other_batch');
