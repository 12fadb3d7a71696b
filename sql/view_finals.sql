-- Results from kept state have the digits of the plain aggregates; windows end where the next begins.
CREATE EXTENSION deltaflow;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET extra_float_digits = 1;

-- variance family, exact types: many groups of every size and scale, as text
SELECT setseed(0.42);
CREATE TEMP TABLE exact AS
SELECT g,
       round((random() * 10 ^ (g % 9))::numeric, g % 7) * CASE WHEN random() < 0.3 THEN -1 ELSE 1 END AS x,
       (random() * 2 ^ (g % 61))::int8 AS i
FROM generate_series(1, 400) g, LATERAL generate_series(1, 1 + g % 23);
INSERT INTO exact VALUES
    (1001, 'NaN', 1), (1001, 2, 2), (1002, 'Infinity', 3), (1003, '-Infinity', 4), (1003, 'Infinity', 5),
    (1004, 1e100, 9223372036854775807), (1004, -1e-100, -9223372036854775808), (1005, 0.000, 0), (1006, NULL, NULL);
CREATE TEMP TABLE kept AS
SELECT g, count(x) AS n, sum(x) AS s, sum(x * x) AS q, count(i) AS ni, sum(i) AS si, sum(i::numeric * i) AS qi,
       var_pop(x) AS vp, var_samp(x) AS vs, stddev_pop(x) AS sp, stddev_samp(x) AS ss,
       var_pop(i) AS ivp, var_samp(i) AS ivs, stddev_pop(i) AS isp, stddev_samp(i) AS iss
FROM exact GROUP BY g;
SELECT g, vp, deltaflow.final_var_pop(n, s, q) FROM kept WHERE vp::text IS DISTINCT FROM deltaflow.final_var_pop(n, s, q)::text;
SELECT g, vs, deltaflow.final_var_samp(n, s, q) FROM kept WHERE vs::text IS DISTINCT FROM deltaflow.final_var_samp(n, s, q)::text;
SELECT g, sp, deltaflow.final_stddev_pop(n, s, q) FROM kept WHERE sp::text IS DISTINCT FROM deltaflow.final_stddev_pop(n, s, q)::text;
SELECT g, ss, deltaflow.final_stddev_samp(n, s, q) FROM kept WHERE ss::text IS DISTINCT FROM deltaflow.final_stddev_samp(n, s, q)::text;
SELECT count(*), count(*) FILTER (WHERE
    ivp::text IS DISTINCT FROM deltaflow.final_var_pop(ni, si, qi)::text OR
    ivs::text IS DISTINCT FROM deltaflow.final_var_samp(ni, si, qi)::text OR
    isp::text IS DISTINCT FROM deltaflow.final_stddev_pop(ni, si, qi)::text OR
    iss::text IS DISTINCT FROM deltaflow.final_stddev_samp(ni, si, qi)::text) AS differ FROM kept;

-- the same over floats: exact sums, one rounding
CREATE FUNCTION f(VARIADIC float8[]) RETURNS float8[] LANGUAGE sql IMMUTABLE RETURN $1;
SELECT deltaflow.final_var_pop(0, f(0), f(0)), deltaflow.final_var_pop(1, f(5), f(25)), deltaflow.final_var_samp(1, f(5), f(25)),
       deltaflow.final_var_samp(2, NULL::float8[], NULL), deltaflow.final_var_samp(3, f('NaN'), f('NaN')),
       deltaflow.final_stddev_pop(3, f('Infinity'), f('Infinity'));
SELECT deltaflow.final_var_samp(3, f(3 * 2 ^ 50, 6), f(3 * 2 ^ 100, 12 * 2 ^ 50, 14)) AS of_2_to_the_50_plus_1_2_3;
SELECT deltaflow.final_var_samp(2, f(0), f(1.28e308)) AS large, deltaflow.final_stddev_samp(2, f(0), f(1.28e308)) AS root;
SELECT deltaflow.final_var_samp(2, f(1), f('Infinity', 1e300));
SELECT deltaflow.final_var_samp(2, '{}'::float8[], '{}');
SELECT deltaflow.final_var_samp(2, '{{1}}'::float8[], '{1}');

-- any other aggregate: state as it is, or serialized
SELECT deltaflow.finalize('regr_slope(float8,float8)'::regprocedure, '{3,6,2,12,8,4}'::float8[], NULL::float8) AS slope,
       deltaflow.finalize('regr_slope(float8,float8)'::regprocedure, NULL::float8[], NULL::float8) AS nothing,
       deltaflow.finalize('bit_and(int4)'::regprocedure, 6, NULL::int) AS no_final;
SELECT deltaflow.finalize('sum(int8)'::regprocedure, 6, NULL::numeric);
SELECT deltaflow.finalize('regr_slope(float8,float8)'::regprocedure, '{1}'::float8[], NULL::text);
SELECT deltaflow.finalize('lower(text)'::regprocedure, 6, NULL::text);
CREATE FUNCTION half(int) RETURNS text LANGUAGE sql IMMUTABLE STRICT RETURN 'half is ' || $1 / 2.0;
CREATE AGGREGATE halved (int) (sfunc = int4pl, stype = int, combinefunc = int4pl, finalfunc = half, initcond = 0);
SELECT deltaflow.finalize('halved(int)'::regprocedure, x, NULL::text) FROM generate_series(1, 3) x;
-- of any type: the state's and the result's must belong together, and a final function that goes by its arguments is told theirs
CREATE FUNCTION greater_of(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
CREATE FUNCTION alone_in_array(anyelement) RETURNS anyarray LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN ARRAY[$1]; END';
CREATE FUNCTION tell_type(bigint, anyelement) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 || '' of '' || pg_typeof($2); END';
CREATE FUNCTION one_more(bigint, anyelement) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE AGGREGATE largest (anyelement) (sfunc = greater_of, stype = anyelement, combinefunc = greater_of);
CREATE AGGREGATE largest_alone (anyelement) (sfunc = greater_of, stype = anyelement, combinefunc = greater_of, finalfunc = alone_in_array);
CREATE AGGREGATE how_many (anyelement) (sfunc = one_more, stype = bigint, combinefunc = int8pl, finalfunc = tell_type, finalfunc_extra, initcond = 0);
SELECT deltaflow.finalize('largest(anyelement)'::regprocedure, 'b'::text, NULL::text) AS largest,
       deltaflow.finalize('largest_alone(anyelement)'::regprocedure, 'b'::text, NULL::text[]) AS alone,
       deltaflow.finalize('max(anyarray)'::regprocedure, '{1,2}'::int[], NULL::int[]) AS of_arrays,
       deltaflow.finalize('how_many(anyelement)'::regprocedure, 3::bigint, NULL::text, NULL::interval) AS how_many;
SELECT deltaflow.finalize('largest(anyelement)'::regprocedure, 1, NULL::text);
SELECT deltaflow.finalize('largest(anyelement)'::regprocedure, 'b', NULL::text);
SELECT deltaflow.finalize('largest_alone(anyelement)'::regprocedure, 1, NULL::text[]);
SELECT deltaflow.finalize('max(anyarray)'::regprocedure, 1, NULL::int[]);
SELECT deltaflow.finalize('max(anyarray)'::regprocedure, '{1}'::int[], NULL::text[]);
SELECT deltaflow.finalize('max(anyenum)'::regprocedure, 1, NULL::int);
SELECT deltaflow.finalize('how_many(anyelement)'::regprocedure, 3::bigint, NULL::text);
-- what the server's own aggregates serialize is for parallel workers, and nobody's to give
SELECT deltaflow.finalize('sum(numeric)'::regprocedure, '\x00'::bytea, NULL::numeric);
CREATE AGGREGATE nth_of (int ORDER BY int) (sfunc = int4pl, stype = int, finalfunc = int4pl);
SELECT deltaflow.finalize('nth_of(int, int)'::regprocedure, 6, NULL::int);
CREATE ROLE deltaflow_outsider;
REVOKE EXECUTE ON FUNCTION halved(int) FROM PUBLIC;
SET ROLE deltaflow_outsider;
SELECT deltaflow.finalize('halved(int)'::regprocedure, 3, NULL::text);
RESET ROLE;
DROP ROLE deltaflow_outsider;

-- windows end where the next one begins: every unit, in zones where days are odd
CREATE TEMP TABLE instants AS
SELECT zone, unit, date_trunc(unit, t, zone) AS start, t
FROM unnest(ARRAY['UTC', 'Europe/Paris', 'Australia/Lord_Howe', 'America/Sao_Paulo', 'Asia/Beirut', 'Asia/Kathmandu']) zone,
     unnest(ARRAY['minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'decade', 'century', 'millennium']) unit,
     (SELECT timestamptz '2017-09-25 00:00+00' + n * interval '191 min' AS t FROM generate_series(0, 4000) n
      UNION ALL SELECT timestamptz '0001-06-01 BC' + n * interval '83 days' FROM generate_series(0, 300) n) x;
SELECT zone, unit, count(*) FROM instants
WHERE NOT (start <= t AND t < deltaflow.window_end(start, unit, zone)) GROUP BY 1, 2 ORDER BY 1, 2;
-- from a day on, the end is itself a start
SELECT zone, unit, count(*) FROM instants
WHERE unit NOT IN ('minute', 'hour') AND
      date_trunc(unit, deltaflow.window_end(start, unit, zone), zone) <> deltaflow.window_end(start, unit, zone)
GROUP BY 1, 2 ORDER BY 1, 2;
SET timezone = 'Europe/Paris';
SELECT start, deltaflow.window_end(start, 'day') AS day_end, deltaflow.window_end(start, 'day') - start AS length
FROM (VALUES (timestamptz '2024-03-30'), ('2024-03-31'), ('2024-10-27')) v (start);
SELECT deltaflow.window_end(timestamptz '2024-03-31', interval '1 day') AS a_day_of_date_bin_has_24_hours;
SET timezone = 'UTC';
SELECT deltaflow.window_end(timestamp '2024-02-01', 'month'), deltaflow.window_end(timestamp '2024-02-01', 'QUARTER'),
       deltaflow.window_end(timestamp '2024-02-01', interval '10 min');
SELECT deltaflow.window_end(timestamptz '294276-12-31', 'week'), deltaflow.window_end(timestamp '294276-12-31 23:59', interval '1 hour'),
       deltaflow.window_end(timestamptz 'infinity', 'day'), deltaflow.window_end(timestamptz '-infinity', 'day'),
       deltaflow.window_end(NULL::timestamptz, 'day');
SELECT deltaflow.window_end(timestamptz '2024-01-01', 'fortnight');

-- a value that run may replace
SELECT deltaflow.param('gap', interval '10 min'), deltaflow.param('n', 5) + 1, deltaflow.param('t', NULL::text);
