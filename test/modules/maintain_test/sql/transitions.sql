-- Aggregates kept by their own transition states: internal, by reference, strict
-- without initial value, rounding, dependent on the order of rows.
CREATE EXTENSION deltaflow;
CREATE EXTENSION maintain_test;
SET client_min_messages = warning;

CREATE AGGREGATE my_avg(numeric) (SFUNC = numeric_avg_accum, STYPE = internal, FINALFUNC = numeric_avg, COMBINEFUNC = numeric_avg_combine,
    SERIALFUNC = numeric_avg_serialize, DESERIALFUNC = numeric_avg_deserialize, PARALLEL = safe);
CREATE AGGREGATE my_max(int) (SFUNC = int4larger, STYPE = int, COMBINEFUNC = int4larger, PARALLEL = safe);
CREATE AGGREGATE my_concat(text) (SFUNC = textcat, STYPE = text, COMBINEFUNC = textcat, PARALLEL = safe);
CREATE AGGREGATE my_count(anyelement) (SFUNC = int8inc_any, STYPE = int8, COMBINEFUNC = int8pl, INITCOND = '0', PARALLEL = safe);
CREATE FUNCTION null_at_three(int, int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT CASE WHEN $2 = 3 THEN NULL ELSE $1 + $2 END';
CREATE AGGREGATE until_three(int) (SFUNC = null_at_three, STYPE = int, COMBINEFUNC = int4pl, INITCOND = '0', PARALLEL = safe);

CREATE TABLE sample (k int, i int, x float8, y float8, amount numeric, word text);
INSERT INTO sample SELECT nullif(g % 11, 0), CASE WHEN g % 4 = 0 THEN NULL ELSE g % 100 + 4 END, g / 7.0, CASE WHEN g % 5 = 0 THEN NULL ELSE sqrt(g) END,
    CASE g % 6 WHEN 0 THEN NULL ELSE g / 100.0 END, CASE WHEN g % 3 = 0 THEN NULL ELSE left(md5(g::text), 2) END
FROM generate_series(1, 3000) g;
INSERT INTO sample VALUES (20, NULL, NULL, NULL, NULL, NULL), (21, 3, 1, 1, 1, 'a'), (22, 5, 1, 1, 1, 'a'), (22, NULL, NULL, NULL, NULL, NULL), (22, 7, 1, 1, 'NaN', 'b');
SELECT maintain_source('sample');

SELECT deltaflow.create_view('transitions', $$
    SELECT k, my_avg(amount) AS average, my_max(i) AS top, my_concat(word) AS words, my_count(word) AS n, until_three(i) AS until,
           corr(x, y) AS corr, regr_slope(y, x) AS slope, regr_count(y, x) AS pairs, my_avg(amount) FILTER (WHERE i > 50) AS some,
           bit_and(i) AS bits, bool_or(i > 90) AS some90
    FROM sample GROUP BY k $$);

-- Rows come in table order; where they are cut does not show.
CREATE FUNCTION check_cuts(live regclass, state regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    first_state text;
    this_state text;
BEGIN
    FOR seed IN 0..20 LOOP
        EXECUTE format('TRUNCATE %s', state);
        PERFORM maintain_fold(live, 'sample', seed => seed, batch_rows => 100, cache_kb => CASE seed % 2 WHEN 0 THEN 65536 ELSE 1 END);
        this_state := maintain_state_md5(state);
        first_state := coalesce(first_state, this_state);
        IF this_state IS DISTINCT FROM first_state THEN
            RETURN NEXT format('state differs with seed %s', seed);
        END IF;
    END LOOP;
    EXECUTE format('TRUNCATE %s', state);
    PERFORM maintain_fill(live, 'sample', cache_kb => 1);
    IF maintain_state_md5(state) IS DISTINCT FROM first_state THEN
        RETURN NEXT 'state differs when filled';
    END IF;
END $$;
SELECT * FROM check_cuts('transitions', 'transitions_state');
SELECT * FROM maintain_differences('transitions', 'transitions_batch');
SELECT k, average, top, words, n, until, corr, slope, pairs, bits, some90 FROM transitions WHERE k >= 20 ORDER BY k;

-- Errors in a function leave nothing behind.
CREATE AGGREGATE my_sum(smallint) (SFUNC = int2pl, STYPE = smallint, COMBINEFUNC = int2pl, PARALLEL = safe);
CREATE TABLE small (k int, s smallint);
INSERT INTO small VALUES (1, 30000), (1, 30000);
SELECT maintain_source('small');
SELECT deltaflow.create_view('overflow', 'SELECT k, my_sum(s) AS s, sum(k) AS n FROM small GROUP BY k');
SELECT maintain_fold('overflow', 'small');
TABLE overflow;
