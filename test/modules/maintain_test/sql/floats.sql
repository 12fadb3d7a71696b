-- Floats are summed exactly: neither order nor cuts show, and the answer is the exact
-- sum rounded once.  Equal keys with different images get one representative.
CREATE EXTENSION deltaflow;
CREATE EXTENSION maintain_test;
SET client_min_messages = warning;

CREATE TABLE reading (k int, grp float8, scale numeric, x float8, y real);
INSERT INTO reading
SELECT g % 7,
       CASE g % 6 WHEN 0 THEN '-0' WHEN 1 THEN '0' WHEN 2 THEN 'NaN' WHEN 3 THEN 'Infinity' WHEN 4 THEN NULL ELSE 1.5 END::float8,
       CASE g % 4 WHEN 0 THEN 1.0 WHEN 1 THEN 1.00 WHEN 2 THEN 1 ELSE 2.50 END::numeric,
       CASE g % 8 WHEN 0 THEN 1e300 WHEN 1 THEN -1e300 WHEN 2 THEN 1e-300 WHEN 3 THEN 0.1 WHEN 4 THEN -0.1 WHEN 5 THEN 1e16 WHEN 6 THEN -1e16
            ELSE g / 7.0 END,
       (g % 1000) / 3.0
FROM generate_series(1, 5600) g;
INSERT INTO reading VALUES (100, 0, 1, 'NaN', 1), (100, 0, 1, 2, 'Infinity'),
    (101, 0, 1, 'Infinity', 'Infinity'), (101, 0, 1, 1, '-Infinity'), (102, 0, 1, '-Infinity', 1), (102, 0, 1, '-Infinity', 1),
    (103, 0, 1, '-0', '-0'), (103, 0, 1, '-0', '-0'), (104, 0, 1, NULL, NULL),
    (105, 0, 1, 1.7e308, 1), (105, 0, 1, 1.7e308, 1), (105, 0, 1, -1.7e308, 1), (106, 0, 1, 1.7e308, 1), (106, 0, 1, 1.7e308, 1);
SELECT maintain_source('reading');

SELECT deltaflow.create_view('sums', $$
    SELECT k, sum(x) AS sx, avg(x) AS ax, sum(y) AS sy, stddev(y) AS dy, min(x) AS lo, max(x) AS hi, count(x) AS n FROM reading GROUP BY k $$);
SELECT deltaflow.create_view('keys', $$
    SELECT grp, scale, count(*) AS n, max(scale) AS top FROM reading GROUP BY grp, scale $$);

CREATE FUNCTION check_cuts(live regclass, state regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    first_state text;
    this_state text;
BEGIN
    FOR seed IN 0..20 LOOP
        EXECUTE format('TRUNCATE %s', state);
        PERFORM maintain_fold(live, 'reading', seed => seed, shuffle => seed > 0, batch_rows => 300,
                              cache_kb => CASE seed % 2 WHEN 0 THEN 65536 ELSE 1 END);
        this_state := maintain_state_md5(state);
        first_state := coalesce(first_state, this_state);
        IF this_state IS DISTINCT FROM first_state THEN
            RETURN NEXT format('state differs with seed %s', seed);
        END IF;
    END LOOP;
END $$;

SELECT * FROM check_cuts('sums', 'sums_state');
SELECT * FROM check_cuts('keys', 'keys_state');

-- Specials, overflow and the way back.
SELECT k, sx, ax, lo, hi, n FROM sums WHERE k >= 100 ORDER BY k;
-- The huge values cancel; what is left of the small ones is what they are alone.
SELECT k, abs(sx - total) <= 1e-14 * abs(total) AS exact
FROM sums JOIN (SELECT k, sum(x) AS total FROM reading WHERE abs(x) BETWEEN 1 AND 1e15 GROUP BY k) r USING (k) WHERE k < 7 ORDER BY k;
-- In the plain query's tolerance where nothing cancels.
SELECT k, abs(s.sy - b.sy) <= 1e-3 * abs(b.sy) AS sum, abs(s.dy - b.dy) <= 1e-3 AS stddev FROM sums s JOIN sums_batch b USING (k) WHERE k < 7 ORDER BY k;

-- One group for -0 and 0, one for all NaN; 1, 1.0 and 1.00 are one group whatever came first.
SELECT grp, scale, n, top FROM keys ORDER BY 1, 2;
