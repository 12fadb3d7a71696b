-- Folds all rows of source into a view.  seed 0: in table order, batches of
-- batch_rows, written every epoch_rows rows.  Any other seed: batches and epochs of
-- random sizes, some of them followed by a cold start; shuffle: rows in random order.
CREATE FUNCTION maintain_fold(live regclass, source regclass, seed int DEFAULT 0, shuffle boolean DEFAULT false,
                              batch_rows int DEFAULT 1000, epoch_rows int DEFAULT 10000,
                              cache_kb int DEFAULT 65536, watermark timestamptz DEFAULT NULL,
                              lateness interval DEFAULT NULL, repeats int DEFAULT 1,
                              OUT applied bigint, OUT filtered bigint, OUT late bigint,
                              OUT written bigint, OUT fold_ns float8, OUT write_us float8)
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_fold';

-- Folds all rows of source again and again, nothing written: nanoseconds of the processor a row.
CREATE FUNCTION maintain_fold_passes(live regclass, source regclass, passes int, OUT pass int, OUT fold_ns float8) RETURNS SETOF record
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_fold_passes';

CREATE FUNCTION maintain_fill(live regclass, source regclass, cache_kb int DEFAULT 65536) RETURNS bigint
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_fill';

-- Compares numeric images made and read by us with the server's own, n random ones.
CREATE FUNCTION maintain_numeric_images(n int, seed int) RETURNS text
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_numeric_images';

-- Keeps a view in memory between calls, as a worker does: begin, fold and write, end.
CREATE FUNCTION maintain_keep(live regclass, cache_kb int DEFAULT 65536) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_keep';
CREATE FUNCTION maintain_kept_fold(source regclass, OUT applied bigint, OUT filtered bigint, OUT late bigint,
                                   OUT written bigint, OUT fold_ns float8, OUT write_us float8)
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_kept_fold';
CREATE FUNCTION maintain_kept_time(watermark timestamptz, lateness interval) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_kept_time';
CREATE FUNCTION maintain_kept_expire(retain interval, max_rows int) RETURNS timestamptz
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_kept_expire';
CREATE FUNCTION maintain_kept_bytes() RETURNS bigint
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_kept_bytes';
CREATE FUNCTION maintain_kept_discard() RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'maintain_kept_discard';

-- A view over an ordinary table without the ingest that would fill it.
CREATE FUNCTION maintain_source(source regclass) RETURNS void LANGUAGE sql AS $$
    INSERT INTO deltaflow.pipeline (name, topic, target, start_at, system_identifier, database_id)
    VALUES (source::text, source, source, 'earliest', 0, 0)
$$;

-- What is stored, in canonical order, as one number.
CREATE FUNCTION maintain_state_md5(state regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")) FROM %s t', state) INTO result;
    RETURN result;
END $$;

-- Rows that the live view and the definition's own answer do not share, as text.
CREATE FUNCTION maintain_differences(live regclass, batch regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT ''live '' || r FROM (SELECT t::text r FROM %1$s t EXCEPT ALL SELECT t::text FROM %2$s t) a
         UNION ALL
         SELECT ''batch '' || r FROM (SELECT t::text r FROM %2$s t EXCEPT ALL SELECT t::text FROM %1$s t) b
         ORDER BY 1 LIMIT 20', live, batch);
END $$;
