-- A view kept in memory while others touch its state table, and late rows.
CREATE EXTENSION deltaflow;
CREATE EXTENSION maintain_test;
SET client_min_messages = warning;
SET timezone = 'UTC';

CREATE TABLE hit (at timestamptz, page text, ms int);
SELECT maintain_source('hit');
SELECT deltaflow.create_view('pages', $$
    SELECT date_bin('1 hour', at, '2000-01-01') AS h, page, count(*) AS n, sum(ms) AS ms, max(page) AS top FROM hit GROUP BY 1, 2 $$);
CREATE TABLE batch1 AS SELECT timestamptz '2024-05-01' + g * interval '1 min' AS at, 'page ' || g % 5 AS page, g AS ms FROM generate_series(1, 300) g;
CREATE TABLE batch2 AS SELECT timestamptz '2024-05-01' + g * interval '1 min' AS at, 'page ' || g % 7 AS page, g AS ms FROM generate_series(200, 500) g;

-- Folds a batch as the worker would: it also goes to the source.
CREATE FUNCTION fold(source regclass) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO hit SELECT * FROM %s', source);
    RETURN written FROM maintain_kept_fold(source);
END $$;

SELECT maintain_keep('pages');
SELECT fold('batch1'), fold('batch2');
SELECT * FROM maintain_differences('pages', 'pages_batch');

-- Rewritten between epochs: groups are found again.
VACUUM FULL pages_state;
SELECT fold('batch2');
CLUSTER pages_state USING pages_state_key;
SELECT fold('batch1');
SELECT * FROM maintain_differences('pages', 'pages_batch');

-- Several epochs in one transaction, the last one rolled back with its savepoint.
BEGIN;
SELECT fold('batch1');
SELECT fold('batch2');
SAVEPOINT s;
SELECT fold('batch2');
ROLLBACK TO s;
SELECT maintain_kept_discard();
SELECT fold('batch1');
COMMIT;
SELECT * FROM maintain_differences('pages', 'pages_batch');

-- Rolled back: what was folded is gone, and the next epoch begins cold.
BEGIN;
SELECT fold('batch1');
ROLLBACK;
SELECT maintain_kept_discard();
SELECT fold('batch2');
SELECT * FROM maintain_differences('pages', 'pages_batch');

-- Somebody else's update is noticed.
UPDATE pages_state SET n = n + 1 WHERE page = 'page 1';
\set VERBOSITY terse
SELECT fold('batch2');
SELECT maintain_kept_discard();
UPDATE pages_state SET n = n - 1 WHERE page = 'page 1';
SELECT fold('batch2');
SELECT * FROM maintain_differences('pages', 'pages_batch');

-- So is a delete, even when vacuum has let other rows take the places.
BEGIN;
CREATE TEMP TABLE saved AS SELECT * FROM pages_state;
DELETE FROM pages_state;
COMMIT;
VACUUM pages_state;
INSERT INTO pages_state SELECT * FROM saved ORDER BY page DESC, h DESC;
SELECT fold('batch1');
SELECT maintain_kept_discard();
SELECT fold('batch1');
SELECT * FROM maintain_differences('pages', 'pages_batch');

-- Emptied: as if nothing had ever been folded.
TRUNCATE pages_state, hit;
SELECT fold('batch1');
SELECT * FROM maintain_differences('pages', 'pages_batch');

-- Two rows for one group are no state.
INSERT INTO pages_state SELECT * FROM pages_state LIMIT 1;
SELECT maintain_keep('pages');
SELECT fold('batch1');
TRUNCATE pages_state, hit;

-- Updates stay on their pages: no index entry is added, the table does not grow.
SELECT maintain_keep('pages');
SELECT fold('batch1');
SELECT pg_relation_size('pages_state') AS size_before, pg_relation_size('pages_state_key') AS index_before \gset
\set ECHO none
SELECT 'SELECT written FROM maintain_kept_fold(''batch1'')' FROM generate_series(1, 100)
\o /dev/null
\gexec
\o
\set ECHO all
SELECT pg_relation_size('pages_state') <= 2 * :size_before AS table_stays, pg_relation_size('pages_state_key') = :index_before AS index_stays;

-- Late: a window is closed once its end + lateness <= watermark; rows for it touch nothing.
TRUNCATE pages_state, hit;
INSERT INTO hit SELECT * FROM batch1;
INSERT INTO hit VALUES (NULL, 'page 0', 1), ('infinity', 'page 0', 1), ('-infinity', 'page 0', 1), ('294276-12-31 23:59', 'page 0', 1);
SELECT applied, late FROM maintain_fold('pages', 'hit', watermark => '2024-05-01 02:00');
SELECT h, count(*) FROM pages GROUP BY 1 ORDER BY 1;
TRUNCATE pages_state;
SELECT applied, late FROM maintain_fold('pages', 'hit', watermark => '2024-05-01 02:00', lateness => '1 microsecond');
TRUNCATE pages_state;
SELECT applied, late FROM maintain_fold('pages', 'hit', watermark => 'infinity', lateness => '100 years');
TRUNCATE pages_state;
SELECT applied, late FROM maintain_fold('pages', 'hit');
SELECT * FROM maintain_differences('pages', 'pages_batch');

-- One group without keys: there before any row, and filled from nothing.
SELECT deltaflow.create_view('total', $$ SELECT count(*) AS n, sum(ms) AS ms FROM hit WHERE ms > 0 $$);
TRUNCATE total_state, hit;
SELECT maintain_fill('total', 'hit');
TABLE total;
SELECT applied, filtered FROM maintain_fold('total', 'batch1');
TABLE total;
