-- Memory and lookups follow the open windows, not history: 300 windows of 500 groups
-- each go by, of which two are open at a time.
CREATE EXTENSION deltaflow;
CREATE EXTENSION maintain_test;
SET client_min_messages = warning;
CREATE TABLE event (k int, v bigint, at timestamptz);
CREATE TABLE chunk (LIKE event);
SELECT maintain_source('event');
SELECT deltaflow.create_view('minutes', $$SELECT date_bin('1 min', at, '2000-01-01') AS m, k, count(*) AS n, sum(v) AS s FROM event GROUP BY 1, 2$$);
CREATE TABLE measured (epoch int, bytes bigint, probes bigint);

CREATE PROCEDURE history(epochs int, cache_kb int) LANGUAGE plpgsql AS $$
DECLARE
    key oid := (SELECT indexrelid FROM pg_index WHERE indrelid = 'minutes_state'::regclass);
    start timestamptz;
    before bigint;
BEGIN
    PERFORM maintain_keep('minutes', cache_kb);
    FOR e IN 1 .. epochs LOOP
        start := timestamptz '2024-01-01' + e * interval '1 min';
        DELETE FROM chunk;
        INSERT INTO chunk SELECT g, e, start + g * interval '0.1 s' FROM generate_series(1, 500) g
            UNION ALL SELECT g * 25, e, start - interval '10 s' FROM generate_series(1, 20) g;
        INSERT INTO event SELECT * FROM chunk;
        before := pg_stat_get_xact_numscans(key);
        -- the window before this one is open for its first 30 s
        PERFORM maintain_kept_time(start - interval '15 s', '30 s'), maintain_kept_fold('chunk');
        INSERT INTO measured VALUES (e, maintain_kept_bytes(), pg_stat_get_xact_numscans(key) - before);
        COMMIT;
    END LOOP;
END $$;
CALL history(300, 512);
SELECT max(bytes) <= 512 * 1024 AS bounded FROM measured;
SELECT max(probes) FILTER (WHERE epoch > 1) AS most_probes FROM measured;
SELECT count(*) FROM minutes_state;
SELECT maintain_differences('minutes', 'minutes_batch');

-- A late row looks nothing up: its window is known to be closed.
DELETE FROM chunk;
INSERT INTO chunk SELECT g % 500, 0, timestamptz '2024-01-01 00:01' + g * interval '1 min' FROM generate_series(1, 250) g;
BEGIN;
SELECT applied, late FROM maintain_kept_fold('chunk');
SELECT pg_stat_get_xact_numscans(indexrelid) <= 1 AS cheap FROM pg_index WHERE indrelid = 'minutes_state'::regclass;
COMMIT;

-- A cold start has to look the open groups up: the count above means something.
SELECT maintain_kept_discard();
DELETE FROM chunk;
INSERT INTO chunk SELECT g, 0, timestamptz '2024-01-01 05:00:50' FROM generate_series(1, 100) g;
BEGIN;
SELECT applied FROM maintain_kept_fold('chunk');
SELECT pg_stat_get_xact_numscans(indexrelid) >= 100 AS probed FROM pg_index WHERE indrelid = 'minutes_state'::regclass;
COMMIT;
