/*
 * oracle.sql
 *		What the differential tester compares with, in a schema of its own.
 */
CREATE SCHEMA differential;

-- A row as the comparison sees it: what must be equal, as one text, and what must be close.
CREATE TYPE differential.line AS (e text, c float8[]);

-- Whom relations belong to for a while, and what a trigger does that changes nothing.
CREATE ROLE differential_other SUPERUSER;
CREATE FUNCTION differential.as_it_is() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;

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

-- Texts on one side only, with what each side is.
CREATE FUNCTION differential.compare_sets(one text, other text, one_is text, other_is text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format($q$
        WITH d (t) AS MATERIALIZED (%s), i (t) AS MATERIALIZED (%s)
        SELECT string_agg(side || ' ' || t, E'\n') FROM (
            (SELECT %L AS side, t FROM d EXCEPT ALL SELECT %L, t FROM i)
            UNION ALL
            (SELECT %L AS side, t FROM i EXCEPT ALL SELECT %L, t FROM d) ORDER BY 2 LIMIT 8) x$q$,
        one, other, one_is, one_is, other_is, other_is) INTO answer;
    RETURN coalesce(answer, 'same');
END $$;

-- Where old windows may have left: what is shown must be right, and what is kept must be shown.
CREATE FUNCTION differential.compare_kept(live text, every_window text, kept text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format($q$
        WITH l AS MATERIALIZED (SELECT e FROM (%s) q), a AS MATERIALIZED (SELECT e FROM (%s) q), k AS MATERIALIZED (SELECT e FROM (%s) q)
        SELECT string_agg(side || ' ' || e, E'\n') FROM (
            (SELECT 'live, and wrong' AS side, e FROM l EXCEPT ALL SELECT 'live, and wrong', e FROM a)
            UNION ALL
            (SELECT 'batch, and kept' AS side, e FROM k EXCEPT ALL SELECT 'batch, and kept', e FROM l) ORDER BY 2 LIMIT 8) x$q$,
        live, every_window, kept) INTO answer;
    RETURN coalesce(E'differ:\n' || answer, 'same');
EXCEPTION WHEN OTHERS THEN
    RETURN 'both fail: ' || SQLERRM;
END $$;

-- The watermark that each epoch should have begun with, from the rows before it:
-- the least over the partitions of greatest event time - delay, once all have one; never falling.  A day of delay has 24 hours.
-- An event time more than max_future ahead of the clock of its epoch (table clocks) does not count.  A partition without records for
-- idle_timeout is left out once the broker was asked, which is between the epochs of a run: so within one the watermark may be that
-- with it or that without, and after the last it must be the latter.  Where the input was declared over (table closings) it is infinity.
CREATE FUNCTION differential.watermarks(pipeline text, source_ text, partitions int, delay interval, max_future interval, idle_timeout interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    delay_s float8 := extract(epoch FROM delay);
    e record;
    r record;
    low timestamptz;        -- as of the epoch's start: with silent partitions, ...
    high timestamptz;       -- ... and without
    greatest_at timestamptz[] := array_fill(NULL::timestamptz, ARRAY[partitions]);
    active_at timestamptz[];
    silent boolean[];
    clock_ timestamptz := coalesce((SELECT clock FROM clocks c WHERE c.source = source_ ORDER BY id LIMIT 1), now());
BEGIN
    active_at := array_fill(clock_, ARRAY[partitions]);
    FOR e IN
        SELECT epoch, max(watermark) AS watermark, count(DISTINCT watermark) AS n, array_agg(partition) FILTER (WHERE records > 0) AS spoke, false AS final
        FROM deltaflow.epochs WHERE name = pipeline GROUP BY epoch
        UNION ALL SELECT p.epoch + 1, p.watermark, 1, NULL, true FROM deltaflow.pipeline p WHERE p.name = pipeline ORDER BY epoch
    LOOP
        clock_ := coalesce((SELECT clock FROM clocks c WHERE c.source = source_ AND c.after_epoch < e.epoch ORDER BY id DESC LIMIT 1), now());
        IF e.n > 1 THEN
            RETURN format('epoch %s has %s watermarks', e.epoch, e.n);
        END IF;
        IF e.final AND idle_timeout IS NOT NULL THEN
            silent := ARRAY(SELECT clock_ >= a AND clock_ - a >= idle_timeout FROM unnest(active_at) WITH ORDINALITY AS u (a, n) ORDER BY n);
            high := differential.next_watermark(greatest_at, silent, high, delay_s);
            low := high;
        END IF;
        IF e.watermark IS DISTINCT FROM low AND e.watermark IS DISTINCT FROM high AND (e.watermark BETWEEN coalesce(low, '-infinity') AND high) IS NOT TRUE THEN
            RETURN format('%s %s began with watermark %s, its rows imply %s', CASE WHEN e.final THEN 'after all, epoch' ELSE 'epoch' END, e.epoch, e.watermark,
                          CASE WHEN low IS NOT DISTINCT FROM high THEN coalesce(high::text, 'none') ELSE format('%s to %s', low, high) END);
        END IF;
        FOR r IN SELECT part, max(time_) AS at FROM differential_seen WHERE epoch_ = e.epoch AND isfinite(time_) AND time_ <= clock_ + max_future GROUP BY part LOOP
            greatest_at[r.part + 1] := greatest(greatest_at[r.part + 1], r.at);
        END LOOP;
        silent := array_fill(false, ARRAY[partitions]);
        FOR i IN 1 .. partitions LOOP
            IF i - 1 = ANY (e.spoke) THEN
                active_at[i] := clock_;
            ELSE
                silent[i] := coalesce(clock_ >= active_at[i] AND clock_ - active_at[i] >= idle_timeout, false);
            END IF;
        END LOOP;
        low := differential.next_watermark(greatest_at, array_fill(false, ARRAY[partitions]), e.watermark, delay_s);
        high := differential.next_watermark(greatest_at, silent, e.watermark, delay_s);
        IF EXISTS (SELECT FROM closings c WHERE c.source = source_ AND c.epoch = e.epoch) THEN
            low := 'infinity';
            high := 'infinity';
        END IF;
    END LOOP;
    RETURN 'same';
END $$;

-- From the greatest event times of the partitions and which of them are left out.
CREATE FUNCTION differential.next_watermark(greatest_at timestamptz[], silent boolean[], before timestamptz, delay_s float8) RETURNS timestamptz LANGUAGE sql
RETURN (
    SELECT CASE WHEN bool_or(g IS NULL) FILTER (WHERE NOT s) THEN before
                ELSE greatest(before, CASE WHEN bool_and(s) THEN max(g) ELSE min(g) FILTER (WHERE NOT s) END - make_interval(secs => delay_s)) END
    FROM unnest(greatest_at, silent) AS u (g, s));

-- A state table as one number, whatever the order of its rows.
CREATE FUNCTION differential.digest(relation regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('SELECT count(*) || '' rows '' || coalesce(md5(string_agg(s::text, E''\n'' ORDER BY s::text COLLATE "C")), '''') FROM %s s', relation) INTO answer;
    RETURN answer;
END $$;
