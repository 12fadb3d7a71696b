--
-- Rows to records, and back.
--
CREATE EXTENSION format_test;
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'ISO, MDY';

CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE all_types (i2 int2, i8 int8, f float8, n numeric(12,3), b bool, t text, v varchar(5), u uuid, y bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, j json, jb jsonb, a int[], p pair, ps pair[], m mood, r int4range);
INSERT INTO all_types VALUES
    (1, -9223372036854775808, 0.1, 12.5, true, E'a"b\\c\n\u0001ä😀', 'xy', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\xdeadbeef', '2026-11-01', '12:34:56.789', '2026-11-01 00:00:00.123', '2026-11-01 00:00:00.123456+00', '1 day 02:03:04', '{"a": [1, "x"]}', '{"k": null}', '{1,NULL,3}', '(1,"x ""y""")', '{"(1,x)",NULL}', 'ok', '[1,5)'),
    (NULL, NULL, 'NaN', 'NaN', false, '', '', NULL, '', 'infinity', '00:00', '-infinity', 'infinity', '-1 mon', '5', '"s"', '{}', NULL, '{}', NULL, 'empty'),
    (NULL, NULL, '-Infinity', NULL, NULL, 'null', NULL, NULL, NULL, '0044-03-15 BC', NULL, '4714-11-24 BC', '294276-12-31 23:59:59', NULL, 'null', NULL, '{{1,2},{3,4}}', '(,)', NULL, NULL, NULL);
SELECT encode_row('all_types', x) FROM all_types x;

-- what is written reads back as the same row
SELECT format, count(*) AS rows, count(*) FILTER (WHERE d.row_text = x::text) AS same
FROM all_types x, unnest('{json,csv}'::text[]) format, decode_record('all_types', convert_to(encode_row('all_types', x, format), 'UTF8'), format) d
GROUP BY format ORDER BY format;
-- but a json null in a json column is NULL
SELECT format, x::text, coalesce(d.row_text, d.message_text)
FROM all_types x, unnest('{json,csv}'::text[]) format, decode_record('all_types', convert_to(encode_row('all_types', x, format), 'UTF8'), format) d
WHERE d.row_text IS DISTINCT FROM x::text ORDER BY format;

-- whatever the settings of the session that writes
CREATE TABLE by_settings (d date, r daterange, rs tstzrange[], tz timestamptz, iv interval, f float8, k date);
INSERT INTO by_settings VALUES ('2026-02-03', '[2026-02-03,2026-03-04)', '{"[2026-02-03 04:05:06+00,)"}', '2026-02-03 04:05:06.789+00', '-1 day -02:03:04', 0.1::float8 + 0.2, '2026-02-03');
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -5;
CREATE TABLE written AS SELECT format, encode_row('by_settings', x, format) AS record FROM by_settings x, unnest('{json,csv}'::text[]) format;
SHOW DateStyle;
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
RESET extra_float_digits;
SELECT w.format, record, d.row_text IS NOT DISTINCT FROM x::text AS same
FROM by_settings x, written w, decode_record('by_settings', convert_to(record, 'UTF8'), w.format) d ORDER BY w.format DESC;

-- a type of a user's own with a cast to json (as hstore has): its text, which its input function takes
SET client_min_messages = warning;
CREATE TYPE tag;
CREATE FUNCTION tag_in(cstring) RETURNS tag LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION tag_out(tag) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE tag (INPUT = tag_in, OUTPUT = tag_out, LIKE = text);
RESET client_min_messages;
CREATE CAST (tag AS text) WITHOUT FUNCTION;
CREATE FUNCTION tag_json(tag) RETURNS json LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT json_build_object('tag', $1::text) $$;
CREATE CAST (tag AS json) WITH FUNCTION tag_json(tag);
CREATE TABLE tagged (t tag);
SELECT to_json(x) AS by_cast, record, row_text = x::text AS same
FROM (VALUES (ROW('a "b"')::tagged)) v(x), encode_row('tagged', x) w(record), decode_record('tagged', convert_to(record, 'UTF8'), 'json');

-- dates and times that are too far away for microseconds since 1970: text, of which reading makes the same
CREATE TABLE far (d date, ts timestamp, tz timestamptz);
INSERT INTO far VALUES ('5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59+00'), ('300000-01-01', '294247-01-10 04:00:54', '294247-01-10 04:00:55+00'),
    ('294247-01-10', '4714-11-24 00:00:00 BC', '4714-11-24 00:00:00+00 BC'), ('4714-11-24 BC', 'infinity', '-infinity');
SELECT record, row_text = x::text AS same
FROM far x, encode_row('far', x, 'json', NULL, NULL, '{{d,unit,s},{ts,unit,us},{tz,unit,ms}}') w(record),
    decode_record('far', convert_to(record, 'UTF8'), 'json', NULL, NULL, '{{d,unit,s},{ts,unit,us},{tz,unit,ms}}');

-- domains over bytea, of raw values and keys
CREATE DOMAIN blob AS bytea CHECK (VALUE <> '\x00');
CREATE TABLE blobs (v blob, k blob);
SELECT row_text, message_text FROM decode_record('blobs', '\xff3132', 'raw', '\xfe5c', NULL, '{{k,metadata,key}}');
SELECT row_text FROM decode_record('blobs', '\x5c783331', 'raw', '', NULL, '{{k,metadata,key}}');
SELECT stage, sqlstate, message_text FROM decode_record('blobs', '\x00', 'raw', NULL, NULL, '{{k,metadata,key}}');

-- nested paths, units, metadata
CREATE TABLE event (kind int, auction bigint, price numeric, name text, at timestamptz, day date, k text, part int, h jsonb, hs text[], off bigint);
CREATE FUNCTION write(e event, format text DEFAULT 'json', options text[] DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT encode_row('event', e, format, NULL, options, '{{auction,field,bid.auction},{price,field,bid.price},{name,field,person.name},{at,field,bid.at},{at,unit,ms},{day,unit,s},{k,metadata,key},{part,metadata,partition},{h,metadata,headers},{hs,metadata,headers},{off,metadata,offset}}')
$$;
SELECT write(ROW(2, 1001, 1.50, NULL, '2026-11-01 00:00:00.1239Z', '2026-11-01', 'key', 3, '[["a","b"],["a",null]]', NULL, NULL)::event);
SELECT write(ROW(1, NULL, NULL, 'Ann', NULL, '1969-12-31', NULL, NULL, NULL, '{{a,b},{c,NULL}}', NULL)::event);
SELECT write(ROW(NULL, NULL, NULL, NULL, NULL, NULL, 'k', NULL, NULL, NULL, NULL)::event);
SELECT write(ROW(NULL, NULL, NULL, NULL, '1960-01-01 00:00:00.0001Z', 'infinity', 'k"', NULL, NULL, NULL, NULL)::event, options => '{key_format,json}');
SELECT write(ROW(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 5)::event);
SELECT write(ROW(1, NULL, NULL, NULL, NULL, NULL, NULL, -1, NULL, NULL, NULL)::event);
SELECT write(ROW(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{"a":"b"}', NULL, NULL)::event);
SELECT write(ROW(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '[["a",1]]', NULL, NULL)::event);
SELECT write(ROW(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{a,b}', NULL)::event);

-- two columns of one field cannot be written
SELECT encode_row('event', ROW(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event, column_options => '{{auction,field,kind}}');
SELECT encode_row('event', ROW(1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::event, column_options => '{{auction,field,kind.x}}');

-- csv and raw
CREATE TABLE csv_line (a int, b text, c text);
SELECT encode_row('csv_line', l, 'csv') FROM unnest(ARRAY[ROW(1, 'x,y', 'q"q'), ROW(2, '', NULL), ROW(NULL, NULL, 'x'), ROW(NULL, NULL, NULL), ROW(3, E'a\nb', ' c ')]::csv_line[]) l;
SELECT encode_row('csv_line', ROW(1, 'NULL', NULL)::csv_line, 'csv', options => '{delimiter,|,"null","NULL",quote,''}');
CREATE TABLE raw_bytes (v bytea);
CREATE TABLE raw_json (v jsonb);
SELECT encode_row('raw_bytes', ROW('abc')::raw_bytes, 'raw'), encode_row('raw_json', ROW('{"a":  1}')::raw_json, 'raw'), encode_row('raw_json', ROW(NULL)::raw_json, 'raw');
