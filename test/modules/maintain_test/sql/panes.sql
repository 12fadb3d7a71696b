-- Windows that overlap: whatever the cuts, cold starts, cache bounds and order of rows,
-- the same panes byte for byte, and the windows made from them are the definition's.
SET extra_float_digits = 1;
SET timezone = 'Europe/Paris';
SET datestyle = 'ISO';
SET client_min_messages = warning;
CREATE EXTENSION deltaflow;
CREATE EXTENSION maintain_test;

CREATE TABLE event (at timestamptz, k int, name text, amount numeric, i int, big bigint, f8 float8, flag boolean);
INSERT INTO event
SELECT CASE WHEN g % 97 = 0 THEN NULL WHEN g % 1009 = 0 THEN 'infinity' WHEN g % 1013 = 0 THEN '-infinity'
            ELSE timestamptz '2024-10-27 00:00:00+02' + g * interval '7.3 s' END,
       nullif(g % 13, 0), CASE WHEN g % 11 = 0 THEN NULL ELSE 'name ' || g % 17 END,
       CASE g % 9 WHEN 0 THEN NULL WHEN 1 THEN (g % 100)::numeric(10,2) WHEN 2 THEN (g::bigint * 1000003 % 7919)::numeric / 7
                  WHEN 3 THEN -(g % 50)::numeric(12,4) WHEN 4 THEN g::numeric * 1e25 WHEN 5 THEN g / 1e20::numeric
                  ELSE (g * 31 % 1000)::numeric / 100 END,
       nullif((g::bigint * 48271 % 2000003)::int - 1000000, 5), g::bigint * 450359962737049 * CASE WHEN g % 2 = 0 THEN 1 ELSE -1 END,
       -- halves: sums that a plain float8 holds exactly
       (g * 31 % 1000) / 2.0, nullif(g % 3, 2) = 1
FROM generate_series(1, 6000) g;
INSERT INTO event SELECT at - interval '3 days', k, name, amount, i, big, f8, flag FROM event WHERE i % 5 = 0 AND isfinite(at);
SELECT maintain_source('event');

-- Checks one view over all ways to fold its source.
CREATE FUNCTION check_cuts(live regclass, state regclass, batch regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    first_state text;
    this_state text;
BEGIN
    FOR seed IN 0..20 LOOP
        EXECUTE format('TRUNCATE %s', state);
        PERFORM maintain_fold(live, 'event', seed => seed, shuffle => seed % 2 = 1 AND seed > 1, batch_rows => 500,
                              cache_kb => CASE seed % 3 WHEN 0 THEN 65536 WHEN 1 THEN 1 ELSE 300 END);
        this_state := maintain_state_md5(state);
        first_state := coalesce(first_state, this_state);
        IF this_state IS DISTINCT FROM first_state THEN
            RETURN NEXT format('state differs with seed %s', seed);
        END IF;
    END LOOP;
    EXECUTE format('TRUNCATE %s', state);
    PERFORM maintain_fill(live, 'event', cache_kb => 64);
    IF maintain_state_md5(state) IS DISTINCT FROM first_state THEN
        RETURN NEXT 'state differs when filled';
    END IF;
    RETURN QUERY SELECT * FROM maintain_differences(live, batch);
END $$;

SELECT deltaflow.create_view('hops', $$
    SELECT window_start, window_end, k, count(*) AS n, count(name) AS names, sum(i) AS s4, sum(big) AS s8, sum(amount) AS sn, avg(i) AS a4,
           avg(big) AS a8, avg(amount) AS an, min(i) AS lo, max(i) AS hi, min(name) AS first, max(name COLLATE "C") AS last, max(at) AS t,
           bool_and(flag) AS every, bit_or(i) AS bo, sum(f8) AS f, avg(f8) AS af, stddev(i) AS dev,
           sum(i) FILTER (WHERE flag) AS sf, count(*) FILTER (WHERE i > 0) AS nf
    FROM event CROSS JOIN LATERAL deltaflow.hop(at, '2 min', '10 min') AS w WHERE i IS DISTINCT FROM 17 GROUP BY 1, 2, 3 $$);
SELECT * FROM check_cuts('hops', 'hops_state', 'hops_batch');
SELECT deltaflow.create_view('odd', $$
    SELECT window_end, count(*) AS n, var_pop(amount) AS v, sum(amount) AS sn, max(name) AS name
    FROM event, deltaflow.hop(at, '3 min', '10 min', '2024-01-01 00:00:30') AS w GROUP BY 1 HAVING count(*) > 10 $$);
SELECT * FROM check_cuts('odd', 'odd_state', 'odd_batch');
SELECT deltaflow.create_view('days', $$
    SELECT window_start, window_end, k, count(*) AS n, sum(big) AS s, sum(f8) AS f FROM event, deltaflow.cumulate(at, '6 h', '1 day') AS w GROUP BY 1, 2, 3 $$);
SELECT * FROM check_cuts('days', 'days_state', 'days_batch');
SELECT deltaflow.create_view('rare', $$
    SELECT window_start, name, count(*) AS n FROM event, deltaflow.hop(at::timestamp, '10 min', '1 min') AS w GROUP BY 1, 2 $$);
SELECT * FROM check_cuts('rare', 'rare_state', 'rare_batch');

-- Conditions on the window bound the panes that are looked for: the answer is that of
-- the condition over all rows.
INSERT INTO event VALUES ('4714-11-24 00:00:30+00 BC', 1), ('294276-12-31 23:59:30+00', 1);
CREATE FUNCTION check_conditions(live regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    condition text;
    n bigint;
    total bigint := 0;
BEGIN
    PERFORM maintain_fold(live, 'event');
    EXECUTE format('CREATE TEMP TABLE shown AS SELECT * FROM %s', live);
    FOR condition IN
        SELECT format('%s %s %L', c, o, t) FROM unnest(ARRAY['window_start', 'window_end']) c, unnest(ARRAY['=', '<', '<=', '>', '>=']) o,
            unnest('{-infinity,"4714-11-24 00:00:00+00 BC","2024-10-26 22:10:00+00","2024-10-27 00:31:00+00","2024-10-27 06:00:00+00","294276-12-31 23:58:00+00",infinity}'::timestamptz[]) t
        UNION ALL SELECT unnest(ARRAY[
            $q$'2024-10-27 00:30:00+00' > window_end AND window_start >= '2024-10-27 00:00:00+00'$q$, 'window_start IS NULL', 'window_start = NULL',
            $q$window_end BETWEEN timestamptz '2024-10-27 01:00:00+00' - interval '1 h' AND '2024-10-27 02:00:00+00' AND k = 3$q$,
            'window_start < window_end', $q$window_start > '2024-10-27' OR window_end < '2024-10-26'$q$,
            $q$window_start >= date '2024-10-27' AND window_start <> '2024-10-27 01:00:00+00'$q$,
            $q$window_end IN ('2024-10-27 00:10:00+00', '2024-10-27 06:00:00+00')$q$])
    LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT * FROM %s WHERE %s EXCEPT ALL SELECT * FROM shown WHERE %2$s) x', live, condition) INTO n;
        IF n <> 0 THEN RETURN NEXT 'more: ' || condition; END IF;
        EXECUTE format('SELECT count(*) FROM (SELECT * FROM shown WHERE %2$s EXCEPT ALL SELECT * FROM %1$s WHERE %2$s) x', live, condition) INTO n;
        IF n <> 0 THEN RETURN NEXT 'less: ' || condition; END IF;
        EXECUTE format('SELECT count(*) FROM %s WHERE %s', live, condition) INTO n;
        total := total + n;
    END LOOP;
    DROP TABLE shown;
    IF total < 1000 THEN RETURN NEXT 'hardly any rows'; END IF;
END $$;
SELECT deltaflow.create_view('each', $$
    SELECT window_start, window_end, k, count(*) AS n FROM event, deltaflow.hop(at, '2 min', '10 min') AS w GROUP BY 1, 2, 3 $$);
SELECT * FROM check_conditions('each');
TRUNCATE days_state;
SELECT * FROM check_conditions('days');

-- Lateness per window: the row at 12:00:05 is late for the windows that end at 12:00:06 and 12:00:08 only.
CREATE TABLE visit (at timestamptz, k int);
SELECT maintain_source('visit');
SELECT deltaflow.create_view('visits', $$
    SELECT window_end, k, count(*) AS n FROM visit, deltaflow.hop(at, '2 s', '10 s') AS w GROUP BY 1, 2 $$);
INSERT INTO visit VALUES ('2024-05-01 12:00:05+00', 1), ('2024-05-01 12:00:05+00', 1), ('2024-05-01 11:59:59+00', 1), ('2024-05-01 11:59:57+00', 1), (NULL, 1);
SELECT applied, filtered, late FROM maintain_fold('visits', 'visit', watermark => '2024-05-01 12:00:09+00', lateness => '1 s');
SELECT window_end AT TIME ZONE 'UTC' AS window_end, n FROM visits ORDER BY 1;
SELECT pane AT TIME ZONE 'UTC' AS pane, open_from AT TIME ZONE 'UTC' AS open_from, n FROM visits_state ORDER BY 1, 2;
-- one that is on time goes to the pane itself, and its windows have both
TRUNCATE visit;
INSERT INTO visit VALUES ('2024-05-01 12:00:04+00', 1);
SELECT applied, late FROM maintain_fold('visits', 'visit', watermark => '2024-05-01 12:00:00+00', lateness => '1 s');
SELECT window_end AT TIME ZONE 'UTC' AS window_end, n FROM visits ORDER BY 1;
SELECT pane AT TIME ZONE 'UTC' AS pane, open_from AT TIME ZONE 'UTC' AS open_from, n FROM visits_state ORDER BY 1, 2;
