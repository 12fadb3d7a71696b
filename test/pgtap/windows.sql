-- Windows as functions against models in plain SQL, over random times, lengths and gaps:
-- hop against generate_series, cumulate against date_bin, session against the query for
-- islands and against range_agg.
SET TimeZone = 'Asia/Kathmandu';
SELECT setseed(0.75);

SELECT plan(10);

-- Times near the origin and far from it, often at the edges of windows.
CREATE TABLE trial AS
SELECT i, slide, slide * count - CASE WHEN random() < 0.5 THEN slide * random() ELSE interval '0' END AS size, count, origin,
       date_trunc('milliseconds', origin + (random() - 0.5) * interval '400000 days' * random() ^ 8) AS ts
FROM generate_series(1, 3000) i,
     LATERAL (SELECT (1 + (random() * 5000)::int % 500) * CASE i % 4 WHEN 0 THEN interval '1 us' WHEN 1 THEN interval '1 s'
                     WHEN 2 THEN interval '1 min' ELSE interval '1 day' END AS slide,
                     1 + (random() * 20)::int AS count,
                     CASE i % 3 WHEN 0 THEN '2000-01-01 00:00+00' WHEN 1 THEN '2024-03-10 07:08:09.123456+00'
                     ELSE '1924-02-29 13:00+00' END::timestamptz AS origin) r;
UPDATE trial SET ts = date_bin(slide, ts, origin) WHERE i % 5 = 0;
UPDATE trial SET ts = date_bin(slide, ts, origin) - interval '1 us' WHERE i % 5 = 1;
UPDATE trial SET ts = date_bin(slide, ts, origin) + size WHERE i % 5 = 2;
DELETE FROM trial WHERE size <= '0';

SELECT cmp_ok(count(*), '>', 2500::bigint, 'there are trials') FROM trial;

CREATE FUNCTION hop_model(ts timestamptz, slide interval, size interval, origin timestamptz)
RETURNS TABLE (window_start timestamptz, window_end timestamptz) LANGUAGE sql AS $$
    SELECT s, s + size
    FROM generate_series(date_bin(slide, ts, origin) - slide * (1 + floor(extract(epoch FROM size) / extract(epoch FROM slide)))::int, ts, slide) s
    WHERE s <= ts AND ts < s + size
$$;
SET TimeZone = 'UTC';			-- so that days of the model's series are 24 hours
SELECT is_empty($$
    SELECT i, (d).* FROM trial t, LATERAL (
        (SELECT * FROM deltaflow.hop(ts, slide, size, origin) EXCEPT ALL SELECT * FROM hop_model(ts, slide, size, origin))
        UNION ALL
        (SELECT * FROM hop_model(ts, slide, size, origin) EXCEPT ALL SELECT * FROM deltaflow.hop(ts, slide, size, origin))) d
    $$, 'hop is generate_series from origin by slide');
SELECT is_empty($$
    SELECT i FROM trial t WHERE
        ARRAY(SELECT w::text FROM deltaflow.hop(ts, slide, size, origin) w) <>
        ARRAY(SELECT w::text FROM deltaflow.hop(ts AT TIME ZONE 'UTC', slide, size, origin AT TIME ZONE 'UTC') x,
              LATERAL (SELECT x.window_start AT TIME ZONE 'UTC', x.window_end AT TIME ZONE 'UTC') w)
    $$, 'timestamp as timestamptz');
SELECT is_empty($$
    SELECT i FROM trial t, LATERAL (SELECT count(*) AS n, min(window_start) = (array_agg(window_start ORDER BY o))[1] AS first,
        max(window_end) = (array_agg(window_end ORDER BY o DESC))[1] AS last
        FROM deltaflow.hop(ts, slide, size, origin) WITH ORDINALITY x(window_start, window_end, o)) w
    WHERE w.n > count OR (w.n > 0 AND NOT (first AND last))
    $$, 'never more windows than fit, and in order');
SELECT is_empty($$
    SELECT i, (d).* FROM trial t, LATERAL (SELECT date_bin(slide * count, ts, origin) AS start) c, LATERAL (
        (SELECT * FROM deltaflow.cumulate(ts, slide, slide * count, origin) EXCEPT ALL
         SELECT start, start + slide * n FROM generate_series(1, count) n WHERE ts < start + slide * n)
        UNION ALL
        (SELECT start, start + slide * n FROM generate_series(1, count) n WHERE ts < start + slide * n EXCEPT ALL
         SELECT * FROM deltaflow.cumulate(ts, slide, slide * count, origin))) d
    $$, 'cumulate ends at each step of the cycle');
SET TimeZone = 'Asia/Kathmandu';

-- Rows of keys in bursts, many exactly a gap apart, some twice, some without a time.
CREATE TABLE click AS
SELECT k, CASE WHEN random() > 0.01 THEN
           '2024-06-01'::timestamptz + (random() * 200)::int * interval '7 s' + (random() * 3)::int * interval '1 us' * (i % 2) END AS ts
FROM generate_series(1, 40) k, generate_series(1, 250 - 6 * k) i;

-- reference: a row begins a session when the one before is not closer than the gap
CREATE FUNCTION islands(gap interval) RETURNS TABLE (k int, ts timestamptz, s tstzrange) LANGUAGE sql AS $$
    SELECT k, ts, tstzrange(min(ts) OVER w, max(ts) OVER w + gap)
    FROM (SELECT *, count(*) FILTER (WHERE starts) OVER (PARTITION BY k ORDER BY ts ROWS UNBOUNDED PRECEDING) AS island
          FROM (SELECT k, ts, coalesce(ts - lag(ts) OVER (PARTITION BY k ORDER BY ts) >= gap, true) AS starts
                FROM click WHERE ts IS NOT NULL) c) i
    WINDOW w AS (PARTITION BY k, island)
$$;
-- and as ranges that are merged where they overlap
CREATE FUNCTION merged(gap interval) RETURNS TABLE (k int, ts timestamptz, s tstzrange) LANGUAGE sql AS $$
    SELECT c.k, ts, tstzrange(lower(r), upper(r) + interval '1 us')
    FROM click c JOIN (SELECT k, unnest(range_agg(tstzrange(ts, ts + gap - interval '1 us', '[]'))) AS r
                       FROM click WHERE ts IS NOT NULL GROUP BY k) m ON c.k = m.k AND c.ts <@ m.r
$$;
CREATE FUNCTION sessions(gap interval) RETURNS TABLE (k int, ts timestamptz, s tstzrange) LANGUAGE sql AS $$
    SELECT * FROM (SELECT k, ts, deltaflow.session(ts, gap) OVER (PARTITION BY k ORDER BY ts) AS s FROM click) c WHERE ts IS NOT NULL
$$;
CREATE TABLE gap_case AS SELECT unnest('{1 us,6.999999 s,7 s,7.000001 s,7.000003 s,14 s,21 s,1 min}'::interval[]) AS gap;

SELECT is_empty($$
    SELECT gap, d.* FROM gap_case, LATERAL (
        (SELECT * FROM sessions(gap) EXCEPT ALL SELECT * FROM islands(gap)) UNION ALL
        (SELECT * FROM islands(gap) EXCEPT ALL SELECT * FROM sessions(gap))) d
    $$, 'sessions are islands');
SELECT is_empty($$
    SELECT gap, d.* FROM gap_case, LATERAL (
        (SELECT * FROM sessions(gap) EXCEPT ALL SELECT * FROM merged(gap)) UNION ALL
        (SELECT * FROM merged(gap) EXCEPT ALL SELECT * FROM sessions(gap))) d
    $$, 'sessions are merged ranges');
SELECT cmp_ok(count(DISTINCT n), '>', 4::bigint, 'every gap makes other sessions')
FROM gap_case, LATERAL (SELECT count(DISTINCT (k, s)) AS n FROM sessions(gap)) c;
SELECT is_empty($$
    SELECT k FROM (SELECT k, ts, deltaflow.session(ts, '7 s') OVER (PARTITION BY k ORDER BY ts) AS s FROM click) c
    WHERE (ts IS NULL) <> (s IS NULL)
    $$, 'no time, no session');
SELECT is_empty($$
    SELECT k FROM (SELECT k, ts, deltaflow.session(ts, '7 s') OVER (PARTITION BY k ORDER BY ts) AS s FROM click) c
    WHERE ts IS NOT NULL GROUP BY k, s HAVING s <> deltaflow.session_range(min(ts), max(ts), '7 s')
    $$, 'session_range makes a session''s range of its first and last time');
SELECT * FROM finish();
