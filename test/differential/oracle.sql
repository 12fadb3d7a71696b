/*
 * oracle.sql
 *		What the differential tester compares with, in a schema of its own.
 */
CREATE SCHEMA differential;

-- A row as the comparison sees it: what must be equal, as one text, and what must be close.
CREATE TYPE differential.line AS (e text, c float8[]);

-- Equal up to the rounding that a plain float aggregate brings.
CREATE FUNCTION differential.close(a float8[], b float8[]) RETURNS boolean LANGUAGE sql IMMUTABLE
RETURN NOT EXISTS (
    SELECT FROM unnest(a, b) AS pair (x, y)
    WHERE x IS DISTINCT FROM y
          AND (x IS NULL OR y IS NULL OR x IN ('NaN', 'Infinity', '-Infinity') OR y IN ('NaN', 'Infinity', '-Infinity')
               OR abs(x - y) > 1e-6 * greatest(abs(x), abs(y), 1e-3)));

-- Live against oracle, both queries giving (e, c).  'same', 'both fail: ...', or how they differ.
CREATE FUNCTION differential.compare(live text, oracle text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    l differential.line[];
    o differential.line[];
    live_error text;
    oracle_error text;
    answer text;
BEGIN
    BEGIN
        EXECUTE format('SELECT coalesce(array_agg(ROW(e, c)::differential.line), ''{}'') FROM (%s) q', live) INTO l;
    EXCEPTION WHEN OTHERS THEN
        live_error := SQLERRM;
    END;
    BEGIN
        EXECUTE format('SELECT coalesce(array_agg(ROW(e, c)::differential.line), ''{}'') FROM (%s) q', oracle) INTO o;
    EXCEPTION WHEN OTHERS THEN
        oracle_error := SQLERRM;
    END;
    IF live_error IS NOT NULL AND oracle_error IS NOT NULL THEN
        RETURN 'both fail: ' || oracle_error;
    ELSIF live_error IS NOT NULL THEN
        RETURN 'only the live view fails: ' || live_error;
    ELSIF oracle_error IS NOT NULL THEN
        RETURN 'only the batch query fails: ' || oracle_error;
    END IF;

    SELECT string_agg(side || ' ' || e, E'\n' ORDER BY e, side) INTO answer FROM (
        (SELECT 'live ' AS side, e FROM unnest(l) EXCEPT ALL SELECT 'live ', e FROM unnest(o))
        UNION ALL
        (SELECT 'batch', e FROM unnest(o) EXCEPT ALL SELECT 'batch', e FROM unnest(l))
        ORDER BY 2, 1 LIMIT 8) d;
    IF answer IS NOT NULL THEN
        RETURN E'differ:\n' || answer;
    END IF;

    SELECT string_agg(format('live  %s %s%sbatch %s %s', a.e, a.c, E'\n', b.e, b.c), E'\n') INTO answer FROM (
        SELECT e, c, row_number() OVER (PARTITION BY e ORDER BY c) AS n FROM unnest(l)) a
        JOIN (SELECT e, c, row_number() OVER (PARTITION BY e ORDER BY c) AS n FROM unnest(o)) b USING (e, n)
    WHERE NOT differential.close(a.c, b.c);
    RETURN coalesce(E'differ by more than rounding:\n' || answer, 'same');
END $$;

-- Whether a query fails, and how.
CREATE FUNCTION differential.failure(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(q::text) FROM (%s) q', query);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $$;

-- Texts on one side only: what the catalog says is late against what the epoch log implies.
CREATE FUNCTION differential.compare_sets(declared text, implied text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format($q$
        WITH d (t) AS MATERIALIZED (%s), i (t) AS MATERIALIZED (%s)
        SELECT string_agg(side || t, E'\n') FROM (
            (SELECT 'declared late ' AS side, t FROM d EXCEPT ALL SELECT 'declared late ', t FROM i)
            UNION ALL
            (SELECT 'late by the log ', t FROM i EXCEPT ALL SELECT 'late by the log ', t FROM d) ORDER BY 2 LIMIT 8) x$q$, declared, implied) INTO answer;
    RETURN coalesce(answer, 'same');
END $$;

-- The watermark that each epoch should have begun with, from the rows before it:
-- the least over the partitions of greatest event time - delay, once all have one; never falling.  A day of delay has 24 hours.
CREATE FUNCTION differential.watermarks(pipeline text, partitions int, delay interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    e record;
    w timestamptz;      -- as of the epoch's start
    greatest_at timestamptz[] := array_fill(NULL::timestamptz, ARRAY[partitions]);
    r record;
BEGIN
    FOR e IN SELECT epoch, max(watermark) AS watermark, count(DISTINCT watermark) AS n FROM deltaflow.epochs WHERE name = pipeline GROUP BY epoch ORDER BY epoch LOOP
        IF e.n > 1 THEN
            RETURN format('epoch %s has %s watermarks', e.epoch, e.n);
        END IF;
        IF e.watermark IS DISTINCT FROM w THEN
            RETURN format('epoch %s began with watermark %s, its rows imply %s', e.epoch, e.watermark, w);
        END IF;
        FOR r IN SELECT part, max(time_) AS at FROM differential_seen WHERE epoch_ = e.epoch AND isfinite(time_) AND time_ <= now() + interval '1 hour' GROUP BY part LOOP
            greatest_at[r.part + 1] := greatest(greatest_at[r.part + 1], r.at);
        END LOOP;
        IF array_position(greatest_at, NULL) IS NULL THEN
            w := greatest(w, (SELECT min(g) FROM unnest(greatest_at) g) - make_interval(secs => extract(epoch FROM delay)::float8));
        END IF;
    END LOOP;
    RETURN 'same';
END $$;

-- A state table as one number, whatever the order of its rows.
CREATE FUNCTION differential.digest(relation regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('SELECT count(*) || '' rows '' || coalesce(md5(string_agg(s::text, E''\n'' ORDER BY s::text COLLATE "C")), '''') FROM %s s', relation) INTO answer;
    RETURN answer;
END $$;
