--
-- Our reading of JSON values against jsonb_populate_record's, over every type with
-- a function of its own and some without, and every literal: the same bytes, or
-- both refuse.  What differs is listed, and must be an exception of the design.
--
CREATE EXTENSION format_test;
SET TimeZone = 'America/New_York';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET client_min_messages = warning;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN label AS varchar(5) NOT NULL;

-- one table per type
CREATE TABLE shapes (shape text PRIMARY KEY, type text);
INSERT INTO shapes SELECT 's' || row_number() OVER (), type FROM unnest(ARRAY[
    'int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'numeric(10,2)', 'numeric(5,0)', 'numeric(3,3)',
    'numeric(6,-2)', 'bool', 'text', 'varchar', 'varchar(5)', 'char(5)', '"char"', 'name', 'uuid', 'bytea', 'date', 'time', 'time(2)',
    'timetz', 'timestamp', 'timestamp(3)', 'timestamptz', 'timestamptz(0)', 'interval', 'json', 'jsonb', 'inet', 'bit(3)',
    'varbit', 'money', 'point', 'oid', 'mood', 'positive', 'label', 'int4range', 'tstzrange', 'int[]', 'text[]',
    'numeric[]', 'timestamptz[]', 'pair', 'pair[]', 'pg_lsn', 'jsonpath', 'tsvector', 'macaddr']) type;
SELECT format('CREATE TABLE %I (v %s)', shape, type) FROM shapes \gexec

-- literals: as JSON strings
CREATE TABLE literals (json text);
INSERT INTO literals SELECT to_json(t)::text FROM unnest(ARRAY[
    -- numbers
    '', ' ', '0', '-0', '+0', '1', '-1', '+1', ' 1', '1 ', E'\t1\n', '--1', '1-', '007', '1.', '.1', '.', '-.5', '1.0', '1.10', '-1.50',
    '12345', '32767', '32768', '-32768', '-32769', '2147483647', '2147483648', '-2147483648', '-2147483649',
    '9223372036854775807', '9223372036854775808', '-9223372036854775808', '-9223372036854775809',
    '123456789012345678', '1234567890123456789', '12345678901234567890', '123456789012345678901234567890.123456789',
    '0.123456789012345678', '0.1234567890123456789', '99999999.99', '99999999.994', '99999999.995', '100000000', '-99999999.995', '99999', '100000', '99999.5', '0.999', '0.9995', '1e2', '1E2', '1e+2', '1e-2', '-1.5e3', '1e308', '1e309', '1e-307', '1e-400', '4.9e-324', '1.7976931348623157e308',
    '3.4028235e38', '3.5e38', '1e-45', '1e-46', '0.1', '0.2', '0.3', '16777217', '16777216', '9007199254740993', '9007199254740992', '0.1e1', 'NaN', 'nan', '-NaN', 'Infinity', '-Infinity', 'inf', '+inf', 'infinit', '0x1F', '0b11', '0o17', '1_000', '1__0', '1e', '1e+', 'e5', '1,5', '$1.50', '٣', '1٣', '00.10', '-00.10', '123.', '0.00', '-0.00', '1e10', '0.0000000001',
    -- booleans
    't', 'f', 'T', 'true', 'TRUE', ' true ', 'tru', 'false', 'yes', 'no', 'y', 'n', 'on', 'off', 'o', 'of', 'truee',
    -- text
    'a', 'abcde', 'abcdef', 'abcde ', 'abcde  x', 'äöüßé', 'äöüßéx', '日本語日本', '日本語日本語', E'a\nb', E'tab\t', '"quoted"', E'back\\slash', '😀', 'null', 'NULL', '{}', '[]', '{"a":1}', '[1,2]', '"x"', '{1,2}', '(1,x)', '[1,5)', 'empty', '(,)', '[5,1]', 'sad', 'Sad', 'happy ', 'x',
    -- uuid
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g', 'a0eebc99_9c0b-4ef8-bb6d-6bb9bd380a11', 'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11',
    -- bytea
    E'\\x', E'\\xdeadbeef', E'\\xDEAD BEEF', E'\\xabc', E'\\000a', E'\\\\', E'\\9',
    -- dates and times
    '2026-11-01', '2026-11-31', '2026-02-29', '2024-02-29', '1900-02-29', '2000-02-29', '0001-01-01', '0000-01-01', '9999-12-31', '10000-01-01', '2026-00-10', '2026-13-01', '2026-1-1', '20261101', '2026-11-01T', '2026-11-01 ', ' 2026-11-01', '2026-11-01 00:00', '2026-11-01T00:00', '2026-11-01 00:00:00', '2026-11-01T00:00:00Z', '2026-11-01T00:00:00z', '2026-11-01t00:00:00Z', '2026-11-01 00:00:00.1', '2026-11-01 00:00:00.123', '2026-11-01 00:00:00.123456', '2026-11-01 00:00:00.1234567', '2026-11-01 00:00:00.9999995', '2026-11-01 00:00:00.', '2026-11-01 23:59:59.999999', '2026-11-01 23:59:60', '2026-11-01 23:59:60.5', '2026-11-01 24:00:00', '2026-11-01 24:00:01', '2026-11-01 25:00:00', '2026-11-01 12:60:00', '2026-11-01 12:00:61',
    '2026-11-01 01:30:00', '2026-11-01 02:30:00', '2026-03-08 02:30:00', '2026-03-08 03:00:00', '1883-11-18 12:00:00', '1883-11-18 11:00:00', '2026-11-01 12:00:00+00', '2026-11-01 12:00:00+01', '2026-11-01 12:00:00-05:30', '2026-11-01 12:00:00+0530', '2026-11-01 12:00:00+5', '2026-11-01 12:00:00+15:59', '2026-11-01 12:00:00+15:59:59', '2026-11-01 12:00:00+16', '2026-11-01 12:00:00-16:00', '2026-11-01 12:00:00+00:60', '2026-11-01 12:00:00 +01', '2026-11-01 12:00:00 Z', '2026-11-01 12:00:00 UTC', '2026-11-01 12:00:00 EST', '2026-11-01 12:00:00 Europe/Berlin', '2026-11-01T12:00:00.123+02:00', '2026-11-01T12:00+02', '2026-11-01T12+02', '2026-11-01 12', 'Nov 1 2026', '1 Nov 2026 10:00 PM', '11/01/2026', '01/02/03', '2026-305', '2026.305', 'J2461345', 'epoch', 'infinity', '-infinity', 'Infinity BC', '2026-11-01 BC', '0044-03-15 BC', '4714-11-24 BC', '4714-11-23 BC', '294276-12-31 23:59:59', '294277-01-01', '99999999-01-01', '5874897-12-31', 'allballs', '2026-11-01 allballs', 'monday', 'Sunday 2026-11-01',
    '12:34', '12:34:56', '12:34:56.789', '24:00', '24:01', '12:34:56+02', '12:34:56 PM', '123456', '12:34:56Z', '12:34:56 EST', '12:34:56 Europe/Berlin', '12:34:56-08:30', 'T12:34',
    'now', 'NOW', ' now', 'today', 'Today', 'tomorrow', 'yesterday', 'today 10:00', 'yesterday allballs', 'now()', 'nowhere', 'knows', '[now,)', '[2026-11-01,)', '[2026-11-01,2026-11-02)',
    '1 day', '1 day 02:03:04', 'P1DT2H', '-1 month', '1 day ago', '1.5 hours', '1', 'x days', '999999999999 years',
    -- others
    '127.0.0.1', '127.0.0.1/8', '::1', '300.1.1.1', '101', '1010', 'B101', 'xA', '(1,2)', '1,2', '(1,2', '$1,234.56', '0/16B3740', 'G/0', '$.a', '$.', 'a:1 b:2', '08:00:2b:01:02:03'
    ]) t;
-- literals: other JSON values
INSERT INTO literals SELECT t FROM unnest(ARRAY[
    'null', 'true', 'false', '0', '-0', '-0.0', '0.0', '1', '-1', '1.0', '1.50', '-1.50', '1e2', '1E2', '1e+2', '1.5e2', '1e-2', '1.23e1', '32767', '32768', '2147483647', '2147483648', '-2147483649', '9223372036854775807', '9223372036854775808', '-9223372036854775808', '12345678901234567890', '0.1', '0.30000000000000004', '1e308', '1e309', '1e-400', '123456789.123456789', '99999999.995', '0.999', '100000', '101', '1010', '20261101', '1234567890',
    '"\u0041"', '"\u00e4"', '"\ud83d\ude00"', '"\ud83d"', '"\ude00"', '"\ud83dx"', '"\ude00\ud83d"', '"\u0000"', '"a\u0000b"', '"\n\t\b\f\r\"\\\/"', '"\x"', '"\u12"', '"\u12g4"',
    '{}', '{"a": 1}', '{"a":1,"b":"x"}', '{"a":"y"}', '{"b":{"c":1}}', '{"a":1,"a":2}', '{"now":1}', '{"a":"\u0000"}', '{"a":"\ud83d"}',
    '[]', '[1]', '[1,2,3]', '[1,null]', '[1.0]', '["1","2"]', '["a"]', '[[1,2],[3,4]]', '[[1],[2,3]]', '[1,[2]]', '[true]', '[1e2]', '["2026-11-01"]', '["now"]', '[20261101]', '[{"a":1}]', '[{"a":1,"b":"2"},{"a":3}]', '[{"a":"x"}]', '["(1,2)"]', '[ 1 , 2 ]', '{ "a" : [ 1 , {"b" : null } ] }', '[1,', '{"a"}', '{"a":1,}', '[1 2]', 'tru', 'nul', '01', '1.', '.5', '+1', '1e', '--1', 'NaN', 'Infinity', '1x', '"a" "b"', '{"a":1]', 'truee'
    ]) t;
-- literals: random ones, the same ones on every run
SELECT setseed(0.42) IS NOT NULL AS seeded;
INSERT INTO literals SELECT (random() * 10 ^ (random() * 20) - 10 ^ (random() * 18))::numeric(40)::text FROM generate_series(1, 60);
INSERT INTO literals SELECT round((random() * 10 ^ (random() * 12) - 10 ^ (random() * 11))::numeric, (random() * 9)::int)::text FROM generate_series(1, 100);
INSERT INTO literals SELECT to_json(round((random() * 10 ^ (random() * 10))::numeric, (random() * 12)::int)::text)::text FROM generate_series(1, 100);
INSERT INTO literals SELECT (random() * 10 ^ (random() * 300 - 150))::text FROM generate_series(1, 60);
INSERT INTO literals SELECT to_json(((random() * 2 - 1) * 10 ^ (random() * 30 - 20))::float4::text)::text FROM generate_series(1, 60);
INSERT INTO literals SELECT to_json((timestamptz '1850-01-01' + random() * interval '250 years')::text)::text FROM generate_series(1, 200);
INSERT INTO literals SELECT to_json((timestamptz '0002-01-01' + random() * interval '9990 years')::timestamp(3)) FROM generate_series(1, 200);
INSERT INTO literals SELECT to_json((timestamp '1999-12-25' + random() * interval '800 days')::timestamp(0)) FROM generate_series(1, 100);
INSERT INTO literals SELECT to_json((date '0001-01-01' + (random() * 3600000)::int)::text)::text FROM generate_series(1, 200);

-- what core says
CREATE FUNCTION core(shape text, message text, OUT image bytea, OUT code text, OUT message_text text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT image(v) FROM jsonb_populate_record(NULL::%I, $1::jsonb)', shape) INTO image USING message;
EXCEPTION WHEN OTHERS THEN
    code := SQLSTATE;
    message_text := SQLERRM;
END $$;

CREATE TABLE verdicts AS
SELECT type, json, c.image AS core_image, c.code AS core_sqlstate, c.message_text AS core_message,
       o.image AS our_image, o.sqlstate AS our_sqlstate, o.message_text AS our_message, o.stage = 'thrown' AS thrown
FROM (SELECT * FROM shapes, (SELECT DISTINCT json FROM literals) l ORDER BY shape) x,
     core(shape, format('{"v": %s}', json)) c,
     decode_record(shape::regclass, convert_to(format('{"v": %s}', json), 'UTF8')) o;

SELECT count(*) > 70000 AS enough FROM verdicts;

-- values that differ: only the text of numbers, which is kept
SELECT type, json FROM verdicts
WHERE core_sqlstate IS NULL AND our_sqlstate IS NULL AND core_image IS DISTINCT FROM our_image
  AND NOT (type IN ('text', 'varchar', 'varchar(5)', 'char(5)', 'label', 'text[]') AND json ~ '^\[?-?[0-9]')
  AND type <> 'json'
ORDER BY type, json COLLATE "C";

-- those, by what is kept
SELECT type, json, convert_from(our_image, 'UTF8') FROM (SELECT type, json, substring(our_image FROM 5) AS our_image FROM verdicts
WHERE core_sqlstate IS NULL AND our_sqlstate IS NULL AND core_image IS DISTINCT FROM our_image AND type = 'text') v
WHERE json ~ '^-?[0-9.]{1,5}([eE]|$)' ORDER BY json COLLATE "C";

-- only core refuses: numbers whose text is kept and is short enough
SELECT type, json, core_sqlstate, core_message FROM verdicts
WHERE core_sqlstate IS NOT NULL AND our_sqlstate IS NULL
ORDER BY type, json COLLATE "C";

-- only we refuse: the exceptions of the design
SELECT reason, our_sqlstate, type, string_agg(json, ' ' ORDER BY json COLLATE "C") FILTER (WHERE n <= 8) AS some
FROM (SELECT *, row_number() OVER (PARTITION BY type, reason ORDER BY json COLLATE "C") n
      FROM (SELECT *, CASE WHEN our_message ~ 'has no unit|cannot be read from a number' THEN 'bare number'
                           WHEN our_message ~ 'clock' THEN 'clock'
                           WHEN our_message ~ 'is an (array|object)' THEN 'container'
                           ELSE our_message END AS reason
            FROM verdicts WHERE core_sqlstate IS NULL AND our_sqlstate IS NOT NULL) r) v
GROUP BY type, our_sqlstate, reason ORDER BY reason COLLATE "C", type COLLATE "C";

-- both refuse, with another code: the same exceptions, noticed before or after the type's own
SELECT DISTINCT core_sqlstate, our_sqlstate FROM verdicts
WHERE core_sqlstate IS NOT NULL AND our_sqlstate IS NOT NULL AND core_sqlstate <> our_sqlstate
  AND our_message !~ 'has no unit|cannot be read from a number|depends on the clock|is an? (array|object|number|boolean)';

-- nothing was thrown but by types whose input functions are not pure
SELECT type, json, our_sqlstate, our_message FROM verdicts
WHERE thrown AND type NOT IN ('pair', 'pair[]') ORDER BY type, json COLLATE "C";
