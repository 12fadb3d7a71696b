-- Sessions: whatever the cuts, cold starts, cache bounds and order of rows, the same
-- state; and it equals the definition's own answer.
CREATE EXTENSION deltaflow;
CREATE EXTENSION maintain_test;
SET extra_float_digits = 1;
SET timezone = 'Europe/Paris';
SET client_min_messages = warning;

-- Rows in time order, so that shuffled ones bridge sessions and pushed ones do not.
-- Pauses of less than, exactly and more than 10 s; rows that come twice; rows without
-- a time, without a key, at the ends of time.
CREATE TABLE click (at timestamptz, k int, name text, amount numeric, f8 float8, n int, code numeric, day timestamp);
INSERT INTO click
SELECT CASE WHEN g % 97 = 0 THEN NULL WHEN g % 991 = 0 THEN 'infinity' WHEN g % 1409 = 0 THEN '-infinity'
            WHEN g % 1999 = 0 THEN '294276-12-31 23:59:55+00' ELSE timestamptz '2024-10-27 00:00:00+02' + span END,
       nullif(g % 7, 0), nullif(left(md5((g % 5)::text), 3), 'c4c'), CASE g % 9 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' ELSE (g * 31 % 1000)::numeric / 100 END,
       (g::bigint * 48271 % 100003)::float8 / 1000 * CASE WHEN g % 3 = 0 THEN 1e10 ELSE 1 END, g,
       CASE g % 3 WHEN 0 THEN 1.0 WHEN 1 THEN 1.00 ELSE 2.5 END, timestamp '1999-12-31 23:00' + span
FROM (SELECT g, sum(CASE g % 5 WHEN 0 THEN interval '10 s' WHEN 1 THEN interval '9.999999 s' WHEN 2 THEN interval '0' WHEN 3 THEN interval '1.3 s' * (g % 11)
                         ELSE interval '1.1 s' END / 5.0) OVER (ORDER BY g) AS span FROM generate_series(1, 5000) g) s;
-- whole seconds of one key: pauses of exactly the gap
INSERT INTO click SELECT timestamptz '2024-10-27 02:30' + g * g % 400 * interval '5 s', 100, 'exact', g, g, g, 1, timestamp '2024-03-31 02:30' + g * g % 400 * interval '5 s' FROM generate_series(1, 200) g;
INSERT INTO click SELECT * FROM click WHERE n % 50 = 1;
SELECT maintain_source('click');

-- Folds in 20 ways; the state may not show which.
CREATE FUNCTION check_cuts(live regclass, state regclass, batch regclass, shuffled boolean DEFAULT true) RETURNS SETOF text
    LANGUAGE plpgsql AS $$
DECLARE
    first_state text;
    this_state text;
BEGIN
    FOR seed IN 0..20 LOOP
        EXECUTE format('TRUNCATE %s', state);
        PERFORM maintain_fold(live, 'click', seed => seed, shuffle => shuffled AND seed % 3 > 0, batch_rows => CASE WHEN seed % 4 = 0 THEN 3 ELSE 500 END,
                              cache_kb => CASE seed % 5 WHEN 0 THEN 65536 WHEN 1 THEN 1 ELSE 300 END);
        this_state := maintain_state_md5(state);
        first_state := coalesce(first_state, this_state);
        IF this_state IS DISTINCT FROM first_state THEN
            RETURN NEXT format('state differs with seed %s', seed);
        END IF;
    END LOOP;
    FOR kb IN 1..2 LOOP
        EXECUTE format('TRUNCATE %s', state);
        PERFORM maintain_fill(live, 'click', cache_kb => kb * kb * kb * kb * 64);
        IF maintain_state_md5(state) IS DISTINCT FROM first_state THEN
            RETURN NEXT 'state differs when filled';
        END IF;
    END LOOP;
    RETURN QUERY SELECT * FROM maintain_differences(live, batch);
END $$;

SELECT deltaflow.create_view('exact', $$
    SELECT k, s, lower(s) AS since, upper(s) AS until, count(*) AS n, sum(n) AS total, sum(amount) AS amount, avg(amount) AS mean, stddev(n) AS spread,
           min(name) AS first, max(at) AS last, count(*) FILTER (WHERE n % 2 = 0) AS even, bool_or(n > 100) AS some
    FROM (SELECT *, deltaflow.session(at, '10 s') OVER (PARTITION BY k ORDER BY at) AS s FROM click WHERE n <> 17) c GROUP BY k, s $$);
SELECT * FROM check_cuts('exact', 'exact_state', 'exact_batch');
SELECT count(*), count(*) FILTER (WHERE k IS NULL) AS without_key, count(*) FILTER (WHERE s IS NULL) AS without_time,
       count(*) FILTER (WHERE since IN ('infinity', '-infinity')) AS at_the_ends, count(*) FILTER (WHERE until = 'infinity' AND since < until) AS beyond, max(n) > 5 AS some_long FROM exact;

-- One sequence of all rows; times without zone; HAVING.
SELECT deltaflow.create_view('sequence', $$
    WITH c AS (SELECT day, n, f8, deltaflow.session(day, deltaflow.param('gap', interval '300 ms')) OVER (ORDER BY day) AS visit FROM click)
    SELECT lower(visit) AS since, count(*) AS n, max(n) - min(n) AS range FROM c GROUP BY visit HAVING count(*) > 1 $$);
SELECT * FROM check_cuts('sequence', 'sequence_state', 'sequence_batch');

-- Several keys, of equal values with different images; floats.
SELECT deltaflow.create_view('keyed', $$
    SELECT code, name, lower(s) AS since, upper(s) > lower(s) AS some_time, count(*) AS n
    FROM (SELECT name, code, deltaflow.session(at, '3 s') OVER (PARTITION BY code, name ORDER BY at) AS s FROM click) c GROUP BY s, name, code $$);
SELECT * FROM check_cuts('keyed', 'keyed_state', 'keyed_batch');
SELECT deltaflow.create_view('floating', $$
    SELECT k, s, sum(f8) AS sum FROM (SELECT k, f8, deltaflow.session(at, '10 s') OVER (PARTITION BY k ORDER BY at) AS s FROM click) c GROUP BY k, s $$);
SELECT d FROM check_cuts('floating', 'floating_state', 'floating_batch') d WHERE d LIKE 'state%';

-- Aggregates kept by their own transition states: rows in table order, which bridges sessions of the key 100.
CREATE AGGREGATE my_avg(numeric) (SFUNC = numeric_avg_accum, STYPE = internal, FINALFUNC = numeric_avg, COMBINEFUNC = numeric_avg_combine,
    SERIALFUNC = numeric_avg_serialize, DESERIALFUNC = numeric_avg_deserialize, PARALLEL = safe);
CREATE AGGREGATE my_concat(text) (SFUNC = textcat, STYPE = text, COMBINEFUNC = textcat, PARALLEL = safe);
CREATE AGGREGATE my_count(anyelement) (SFUNC = int8inc_any, STYPE = int8, COMBINEFUNC = int8pl, INITCOND = '0', PARALLEL = safe);
SELECT deltaflow.create_view('transitions', $$
    SELECT k, s, my_avg(amount) AS average, my_count(name) AS n, bit_and(n) AS bits, length(my_concat(name)) AS letters, regr_count(n, f8) AS pairs
    FROM (SELECT *, deltaflow.session(at, '10 s') OVER (PARTITION BY k ORDER BY at) AS s FROM click) c GROUP BY k, s $$);
SELECT * FROM check_cuts('transitions', 'transitions_state', 'transitions_batch', false);

-- Rows are late by themselves: time + gap + lateness <= watermark.  Here that is 12:00.
CREATE TABLE visit (at timestamptz, k int);
SELECT maintain_source('visit');
SELECT deltaflow.create_view('visits', $$
    SELECT k, lower(s) AS since, count(*) AS n FROM (SELECT k, deltaflow.session(at, '10 s') OVER (PARTITION BY k ORDER BY at) AS s FROM visit) v GROUP BY k, s $$);
INSERT INTO visit VALUES ('2024-05-01 11:59:20+00', 1), ('2024-05-01 11:59:20.000001+00', 1), ('2024-05-01 11:59:36+00', 1), ('2024-05-01 11:59:20+00', 2),
    (NULL, 2), ('infinity', 2), ('-infinity', 2);
SELECT applied, late FROM maintain_fold('visits', 'visit', watermark => '2024-05-01 12:00+00', lateness => '30 s');
SELECT k, since AT TIME ZONE 'UTC' AS since, n FROM visits ORDER BY 1, 2;
-- A row that is not late bridges two sessions whose own ends lie behind the watermark.
TRUNCATE visit;
INSERT INTO visit VALUES ('2024-05-01 11:59:28+00', 1);
SELECT applied, late FROM maintain_fold('visits', 'visit', watermark => '2024-05-01 12:00+00', lateness => '30 s');
SELECT k, since AT TIME ZONE 'UTC' AS since, n FROM visits WHERE k = 1;

-- A row per session, and none left of what was bridged.
SELECT deltaflow.create_view('bridges', $$
    SELECT k, lower(s) AS since, upper(s) AS until, count(*) AS n FROM (SELECT k, deltaflow.session(at, '10 s') OVER (PARTITION BY k ORDER BY at) AS s FROM visit) v GROUP BY k, s $$);
TRUNCATE visit;
SELECT maintain_keep('bridges');
INSERT INTO visit SELECT timestamptz '2024-05-01 12:00+00' + s * interval '1 s', 1 FROM unnest(ARRAY[0, 18, 36, 54]) s;
SELECT written FROM maintain_kept_fold('visit');
TRUNCATE visit;
-- one that touches nothing at exactly the gap before and after: 64, then both its neighbours
INSERT INTO visit VALUES ('2024-05-01 12:01:04+00', 1);
SELECT written FROM maintain_kept_fold('visit');
SELECT count(*) FROM bridges_state;
TRUNCATE visit;
INSERT INTO visit SELECT timestamptz '2024-05-01 12:00+00' + s * interval '1 s', 1 FROM unnest(ARRAY[9, 27, 45, 63]) s;
SELECT written FROM maintain_kept_fold('visit');
SELECT k, since AT TIME ZONE 'UTC' AS since, until AT TIME ZONE 'UTC' AS until, n FROM bridges;
SELECT count(*) FROM bridges_state;

-- Changed by others: noticed.
TRUNCATE visit;
INSERT INTO visit VALUES ('2024-05-01 12:00:05+00', 1);
DELETE FROM bridges_state;
\set VERBOSITY sqlstate
SELECT written FROM maintain_kept_fold('visit');
\set VERBOSITY default
SELECT maintain_kept_discard();
SELECT written FROM maintain_kept_fold('visit');
SELECT k, since AT TIME ZONE 'UTC' AS since, n FROM bridges;
