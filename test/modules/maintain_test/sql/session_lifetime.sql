-- Old sessions leave the table and memory: 200 minutes of 300 visitors each go by, with
-- ten who never pause.  What is in memory stays true: rows come for the spaces that
-- removed sessions leave, and for keys that were forgotten.
CREATE EXTENSION deltaflow;
CREATE EXTENSION maintain_test;
SET client_min_messages = warning;
CREATE TABLE visit (k int, v bigint, at timestamptz);
CREATE TABLE chunk (LIKE visit);
SELECT maintain_source('visit');
SELECT deltaflow.create_view('visits', $$
    SELECT k, lower(s) AS since, upper(s) AS upto, count(*) AS n, sum(v) AS total
    FROM (SELECT k, v, deltaflow.session(at, '20 s') OVER (PARTITION BY k ORDER BY at) AS s FROM visit) x GROUP BY k, s $$);
CREATE INDEX ON visits_state (session_first);
CREATE TABLE measured (epoch int, bytes bigint, stored bigint, differences bigint);
CREATE TABLE horizon AS SELECT '-infinity'::timestamptz AS at;
CREATE VIEW kept AS SELECT * FROM visits WHERE upto > (SELECT at FROM horizon);
CREATE VIEW kept_batch AS SELECT * FROM visits_batch WHERE upto > (SELECT at FROM horizon);

CREATE PROCEDURE history(epochs int, cache_kb int, retained boolean) LANGUAGE plpgsql AS $$
DECLARE
    start timestamptz;
BEGIN
    TRUNCATE visit, visits_state, measured;
    UPDATE horizon SET at = '-infinity';
    PERFORM maintain_keep('visits', cache_kb), setseed(0.5);
    FOR e IN 1 .. epochs LOOP
        start := timestamptz '2024-01-01' + e * interval '1 min';
        DELETE FROM chunk;
        -- new visitors; those who never pause; visitors of before, at times that are not late yet
        INSERT INTO chunk SELECT 1000 + e * 300 + g % 300, g, start + g * interval '0.04 s' FROM generate_series(1, 900) g
            UNION ALL SELECT g % 10, g, start + g / 10 * interval '12 s' FROM generate_series(0, 49) g
            UNION ALL SELECT CASE WHEN g % 3 = 0 THEN 1000 + (random() * e * 300)::int ELSE 100 + (random() * 20)::int END, g,
                             start + random() * interval '110 s' - interval '55 s' FROM generate_series(1, 60) g;
        INSERT INTO visit SELECT * FROM chunk;
        -- not late: time + 20 s + 30 s > watermark
        PERFORM maintain_kept_time(start - interval '15 s', '30 s'), maintain_kept_fold('chunk');
        IF retained THEN
            UPDATE horizon SET at = greatest(at, maintain_kept_expire('30 s', 400));
        END IF;
        INSERT INTO measured VALUES (e, maintain_kept_bytes(), (SELECT count(*) FROM visits_state),
            CASE WHEN e % 20 = 0 THEN (SELECT count(*) FROM maintain_differences('kept', 'kept_batch')) ELSE 0 END);
        IF e % 37 = 0 AND cache_kb < 1024 THEN
            PERFORM maintain_kept_discard();
        END IF;
        COMMIT;
    END LOOP;
END $$;

CALL history(200, 65536, true);
SELECT max(differences) AS differences, max(stored) FILTER (WHERE epoch > 100) < 2 * max(stored) FILTER (WHERE epoch < 20) AS stored_bounded,
       max(bytes) FILTER (WHERE epoch > 100) < 2 * max(bytes) FILTER (WHERE epoch < 20) AS memory_bounded FROM measured;
SELECT at > '2024-01-01 03:15+00' AS horizon_follows, (SELECT count(*) FROM kept WHERE k < 10 AND n >= 1000) AS never_paused FROM horizon;
-- with little memory and cold starts
CALL history(100, 64, true);
SELECT max(differences) AS differences, max(stored) FILTER (WHERE epoch > 50) < 2 * max(stored) FILTER (WHERE epoch < 20) AS stored_bounded FROM measured;
-- without, both grow: the measure means something
CALL history(100, 65536, false);
SELECT max(differences) AS differences, max(bytes) FILTER (WHERE epoch > 90) > 2 * max(bytes) FILTER (WHERE epoch < 20) AS memory_grows,
       max(stored) > 30000 AS stored_grows FROM measured;
