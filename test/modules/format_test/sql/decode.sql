--
-- Records to rows: paths, duplicates, metadata, constraints, limits, refusals.
--
CREATE EXTENSION format_test;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';

-- what was decoded, or why not
CREATE FUNCTION try(shape regclass, message text, column_options text[] DEFAULT NULL, format text DEFAULT 'json',
    options text[] DEFAULT NULL, key bytea DEFAULT NULL, needed text[] DEFAULT NULL) RETURNS text
LANGUAGE sql AS $$
    SELECT coalesce(row_text, format('%s %s: %s%s%s', sqlstate, stage, message_text, ' | ' || detail, ' | ' || column_name))
    FROM decode_record(shape, convert_to(message, 'UTF8'), format, key, options, column_options, needed)
$$;

CREATE TABLE entry (booth int, plate text, toll numeric, at timestamptz);

-- fields in any order, unknown ones between, missing and null ones
SELECT try('entry', m) FROM (VALUES
    ('{"booth":1,"plate":"AB 123","toll":2.50,"at":"2026-11-01T10:00:00Z"}'),
    ('{"at":"2026-11-01T10:00:00Z","toll":2.50,"plate":"AB 123","booth":1}'),
    ('  { "x" : [ 1 , { "booth" : 9 } ] , "booth" : 1 , "y" : "}" , "plate" : "p" }  '),
    ('{"booth":null,"plate":null}'),
    ('{}'),
    (NULL)) v(m);

-- duplicates: the last counts, whatever came before
SELECT try('entry', m) FROM (VALUES
    ('{"booth":1,"booth":2}'),
    ('{"booth":"x","booth":2}'),
    ('{"booth":1,"booth":null}'),
    ('{"booth":1,"booth":[1]}')) v(m);

-- names may be escaped, are case-sensitive, may be longer than a guess remembers
SELECT try('entry', m) FROM (VALUES
    ('{"b\u006foth":7,"\u0062\u006f\u006f\u0074\u0068x":1}'),
    ('{"Booth":7,"boot":1,"booths":2}'),
    ('{"a name that is much longer than sixteen bytes":1,"booth":3}')) v(m);
CREATE TABLE names ("a name that is much longer than sixteen bytes" int, "ä€😀" int, "quo""te" int, "a.b" int, dropped int);
ALTER TABLE names DROP COLUMN dropped;
SELECT try('names', m) FROM (VALUES
    ('{"a name that is much longer than sixteen bytes":1,"ä€😀":2,"quo\"te":3,"a.b":4}'),
    ('{"a name that is much longer than sixteen bytes!":1,"\u00e4\u20ac\ud83d\ude00":2,"quo\u0022te":3,"":4}')) v(m);

-- the clock has no say inside arrays and composites either, however it is spelled
CREATE DOMAIN instant AS timestamptz;
CREATE TYPE stay AS (guest text, arrival timestamptz, nights date[]);
CREATE TYPE stretch AS RANGE (subtype = instant);
CREATE TABLE clocks (moments instant[], dates date[], one stay, many stay[], reach stretch, hours timetz[]);
SELECT try('clocks', m) FROM (VALUES
    ('{"moments":["2026-11-01 10:00Z",null],"dates":[["2026-11-01"],["epoch"]],"one":{"guest":"see you tomorrow, or now","arrival":"2026-11-01 10:00Z","today":"now"}}'),
    ('{"many":[{"guest":"now"},{"guest":5,"nights":["2026-11-01"]},null],"reach":"[2026-11-01 10:00Z,infinity)","hours":["10:00+01"]}'),
    ('{"moments":["now"]}'),
    ('{"moments":"{now}"}'),
    ('{"moments":["\u006eow"]}'),
    ('{"moments":[20261101]}'),
    ('{"dates":[["2026-11-01"],["Today"]]}'),
    ('{"dates":["\u0074oday"]}'),
    ('{"dates":[20261101]}'),
    ('{"one":{"arrival":"now"}}'),
    ('{"one":{"arrival":20261101}}'),
    ('{"one":{"arrival":"2026-11-01 10:00Z","arrival":"tomorrow"}}'),
    ('{"one":{"nights":["2026-11-01","yesterday"]}}'),
    ('{"many":[{"guest":"a"},{"arrival":" now "}]}'),
    ('{"reach":"[2026-11-01 10:00Z,now)"}'),
    ('{"hours":["10:00"]}')) v(m);

-- nested paths, a column over a whole object beside columns inside it, two columns of one field
CREATE TABLE nested (a int, b text, whole jsonb, again bigint, deep int);
SELECT try('nested', m, '{{a,field,o.a},{b,field,o.b},{whole,field,o},{again,field,o.a},{deep,field,o.p.q.r}}') FROM (VALUES
    ('{"o":{"a":1,"b":"x","p":{"q":{"r":5}}}}'),
    ('{"o":{"p":{"q":{"r":5}},"b":"x","a":1},"a":2,"b":"wrong"}'),
    ('{"o":null}'),
    ('{}'),
    ('{"o":{}}'),
    ('{"o":{"a":1,"p":null}}'),
    ('{"o":5}'),
    ('{"o":[{"a":1}]}'),
    ('{"o":{"p":"q"}}'),
    ('{"o":5,"o":{"a":1}}'),
    ('{"o":{"a":1,"b":"x"},"o":{"b":"y"}}'),
    ('{"o":{"a":1},"o":null}'),
    ('{"o":{"p":{"q":{"r":5}},"p":{}}}'),
    ('{ "o" : { "a" : 1 , "x" : [ { } , [ ] , "]" ] } }')) v(m);

-- not JSON, or not an object
SELECT try('entry', m) FROM (VALUES
    (''), ('   '), ('null'), ('1'), ('"x"'), ('[{"booth":1}]'), ('{'), ('{"booth"'), ('{"booth":'), ('{"booth":1'), ('{"booth":1,'),
    ('{"booth":1,}'), ('{"booth" 1}'), ('{booth:1}'), ('{"booth":1}}'), ('{"booth":1} {"booth":2}'), ('{"booth":1}x'), ('{"x":{"y":1}'),
    ('{"x":[1,2}'), ('{"booth":}'), ('{"booth":,"plate":1}'), ('{"booth"::1}'), ('{"booth":tru}'), ('{"booth":nul}'), ('{"booth":01}'),
    ('{"booth":1x}'), ('{"plate":"a'), ('{"plate":"a}'), ('{"plate":"a"b"}'), (E'{"plate":"a\tb"}'), ('{"toll":-}'), ('{"toll":1e}'),
    ('{"plate":"\q"}'), ('{"plate":"\u12"}'), ('{"plate":"\u0000"}'), ('{"plate":"\ud800"}'), ('{"plate":"\udc00"}'), ('{,}'), ('}')) v(m);
-- bytes that are not UTF-8, in wanted and in ignored fields
SELECT sqlstate, message_text, column_name FROM decode_record('entry', '\x7b22706c617465223a22ff227d');
SELECT sqlstate, message_text, column_name FROM decode_record('entry', '\x7b2278223a22ff227d');
SELECT sqlstate, message_text, column_name FROM decode_record('entry', '\x7b22706c617465223a22c080227d');
SELECT sqlstate, message_text, column_name FROM decode_record('entry', '\x7b22706c617465223a2200227d');
SELECT sqlstate, message_text, column_name FROM decode_record('entry', '\xefbbbf7b7d');

-- values that are refused say which column
SELECT try('entry', m) FROM (VALUES
    ('{"booth":"x"}'), ('{"booth":1.5}'), ('{"booth":3000000000}'), ('{"booth":true}'), ('{"booth":{}}'), ('{"plate":[1]}'),
    ('{"toll":"NaN"}'), ('{"toll":"x"}'), ('{"at":1234}'), ('{"at":"now"}'), ('{"at":"2026-02-30"}')) v(m);
-- and do not quote all of it
SELECT length(try('entry', '{"booth":"' || repeat('ä', 100000) || '"}')) < 1000 AS short;
SELECT length(try('entry', '{"booth":' || repeat('x', 100000) || '}')) < 1000 AS short;

-- units of bare numbers
CREATE TABLE units (s timestamptz, ms timestamptz(0), us timestamp, d date);
SELECT try('units', m, '{{s,unit,s},{ms,unit,ms},{us,unit,us},{d,unit,s}}') FROM (VALUES
    ('{"s":0,"ms":0,"us":0,"d":0}'),
    ('{"s":1700000000,"ms":1700000000123,"us":1700000000123456,"d":1700000000}'),
    ('{"s":1700000000.5,"ms":1700000000500,"us":-1,"d":-1}'),
    ('{"s":1.7e9,"ms":"1700000000123","us":"2026-11-01 00:00:00","d":"2026-11-01"}'),
    ('{"s":1700000000.1234565,"ms":-1500,"us":1.5,"d":-86400}'),
    ('{"s":99999999999999}'), ('{"s":-300000000000}'), ('{"us":9223372036854775807}'), ('{"s":1e999}'), ('{"d":1e18}')) v(m);

-- domains: constraints as values
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN given AS text NOT NULL;
CREATE DOMAIN small_percent AS percent CHECK (VALUE < 50);
CREATE TABLE domains (p percent, g given, s small_percent);
SELECT try('domains', m) FROM (VALUES
    ('{"p":5,"g":"x"}'), ('{"p":101,"g":"x"}'), ('{"g":null}'), ('{}'), ('{"g":"x","s":60}'), ('{"g":"x","s":200}'), ('{"p":"x","g":"x"}'), (NULL)) v(m);

-- constraints of the table
CREATE TABLE checked (id int NOT NULL, low int, high int, CONSTRAINT ordered CHECK (low < high), CONSTRAINT row_small CHECK (checked IS DISTINCT FROM ROW(1, 2, 3)::checked));
SELECT try('checked', m) FROM (VALUES
    ('{"id":1,"low":1,"high":2}'), ('{"id":1,"low":2,"high":1}'), ('{"low":1}'), ('{"id":null}'), ('{"id":1,"low":2}'), ('{"id":1,"low":2,"high":3}'), (NULL)) v(m);
-- only those whose columns are decoded
SELECT try('checked', '{"low":2,"high":1}', needed => '{low}');
SELECT try('checked', '{"low":2,"high":1}', needed => '{low,high}');
SELECT try('checked', '{"low":"not read","id":1}', needed => '{id}');
SELECT try('checked', '{"low":"not read"}', needed => '{high}');

-- about the record
CREATE TABLE meta (v int, part int, off bigint, at timestamptz, ms bigint, k text, h jsonb, hs text[], t text);
SELECT try('meta', '{"v":1,"part":99}', '{{part,metadata,partition},{off,metadata,offset},{at,metadata,timestamp},{ms,metadata,timestamp},{k,metadata,key},{h,metadata,headers},{hs,metadata,headers},{t,metadata,topic}}', key => 'abc');
SELECT try('meta', NULL, '{{part,metadata,partition},{off,metadata,offset},{at,metadata,timestamp},{ms,metadata,timestamp},{k,metadata,key},{h,metadata,headers},{hs,metadata,headers},{t,metadata,topic}}', key => 'abc', needed => '{v,part,off,k}');
SELECT try('meta', '{}', '{{k,metadata,key},{part,metadata,key}}', key => k::bytea) FROM (VALUES ('12'), ('x'), ('\xff')) v(k);
SELECT try('meta', '{}', '{{k,metadata,key},{part,metadata,key}}', options => '{key_format,json}', key => k)
FROM (VALUES ('12'::bytea), ('"12"'), (' 12 '), ('null'), ('12 x'), (''), ('"\\u0031"'), ('\xff')) v(k);
CREATE TABLE keyed (k jsonb, b bytea, v int);
SELECT try('keyed', '{}', '{{k,metadata,key},{b,metadata,key}}', options => '{key_format,json}', key => '{"a": 1}', needed => '{k}');
SELECT try('keyed', '{}', '{{b,metadata,key}}', key => '\x00ff', needed => '{b}');

-- undeclared fields
CREATE TABLE rest (a int, n int, others jsonb);
SELECT try('rest', m, '{{n,field,o.n},{others,metadata,unknown_fields}}') FROM (VALUES
    ('{"a":1,"o":{"n":2,"m":3},"x":"s","y":{"z":[1,2]},"x":4,"e\u0061":null,"t":true}'), ('{"a":1}'), ('{"x":"\u0000"}'), ('{"x":1e100000}'), ('{"x":"\ud800"}')) v(m);
SELECT try('rest', m, '{{n,field,o.n},{others,metadata,unknown_fields}}', needed => '{others}') FROM (VALUES ('{"a":"not read","o":{"n":2},"x":1}')) v(m);
SELECT length(try('rest', '{' || string_agg(format('"f%s":%s', i, i), ',') || '}', '{{others,metadata,unknown_fields}}')) FROM generate_series(1, 500) i;

-- no columns of the value at all
SELECT try('meta', '{"v":1}', '{{part,metadata,partition}}', needed => '{part}');
SELECT try('meta', '{"v":1', '{{part,metadata,partition}}', needed => '{part}');

-- limits
CREATE TABLE any_value (v jsonb, n numeric, t text, j json);
SELECT try('any_value', m) FROM (VALUES
    ('{"n":1e1001}'), ('{"n":1e1000}'::text), ('{"n":"1e1001"}'), ('{"n":" 1.e1001"}'), ('{"n":".1e+1001"}'), ('{"v":1e1001}'), ('{"v":{"a":[1e1001]}}'), ('{"t":1e1001}'), ('{"j":[1e1001]}'), ('{"v":"1e1001"}')) v(m)
WHERE m !~ 'e1000}';
SELECT length(try('any_value', '{"n":1e1000}'));
SELECT try('any_value', format('{"n":%s}', repeat('1', 1001)));
SELECT try('any_value', format('{"n":"%s"}', repeat('1', 1001)));
SELECT length(try('any_value', format('{"n":%s}', repeat('1', 1000))));
SELECT try('any_value', format('{"v":%s1%s}', repeat('[', n), repeat(']', n))) ~ 'nested too deep' AS too_deep FROM (VALUES (255), (256), (100000)) v(n);
SELECT try('any_value', format('{"ignored":%s1%s,"n":1}', repeat('[', n), repeat(']', n))) FROM (VALUES (255), (256), (100000)) v(n);
SELECT try('any_value', format('{"v":{"x":%s1%s}}', repeat('[', n), repeat(']', n)), '{{n,field,v.x.y}}') FROM (VALUES (255), (100000)) v(n);
SELECT try('any_value', repeat('[', 100000));
SELECT try('any_value', format('{"t":"%s"}', repeat('x', 16 * 1024 * 1024)));
SELECT length(try('any_value', format('{"t":"%s"}', repeat('x', 16 * 1024 * 1024 - 20))));
SELECT try('any_value', '{"t":"small again"}');

-- arrays and composites, elements that are refused
CREATE TYPE point3 AS (x int, y int, z text);
CREATE TABLE containers (a int[], t text[], p point3, ps point3[], at timestamptz[]);
SELECT try('containers', m) FROM (VALUES
    ('{"a":[1,2,null],"t":["x",1e2,true],"p":{"x":1,"z":"q"},"ps":[{"x":1},null],"at":["2026-11-01"]}'),
    ('{"a":[[1,2],[3,4]],"t":[]}'), ('{"a":5}'), ('{"a":{"x":1}}'), ('{"a":["x"]}'), ('{"a":[1,[2]]}'), ('{"p":[1]}'), ('{"p":true}'), ('{"p":{"x":"y"}}'), ('{"at":["now"]}'), ('{"at":[5]}'), ('{"a":"{1,2}","p":"(1,2,z)"}'), ('{"a":[1}')) v(m);

-- csv
CREATE TABLE csv_line (a int, b text, c numeric);
SELECT try('csv_line', m, format => 'csv') FROM (VALUES
    ('1,x,2.5'), (E'1,x,2.5\n'), (E'1,x,2.5\r\n'), ('1,"x,""y""",2'), (E'1,"two\nlines",2'), (',,'), ('1,"",'), ('1,x"y"z,'), ('1,x'), ('1'), (''), ('1,x,2,3'), ('1,"x'), (E'1,x,2\n2,y,3'), ('y,x,2'), (' 1, x , 2 '), (NULL)) v(m);
SELECT try('csv_line', m, format => 'csv', options => '{delimiter,;,quote,'',escape,"\\","null","NULL",header,false}') FROM (VALUES
    ('1;''it\''s;'';2'), ('NULL;NULL;NULL'), ('1;''NULL'';2'), ('1;a\b;2')) v(m);
SELECT try('csv_line', '1,x,2', '{{b,metadata,topic}}', format => 'csv');
SELECT try('csv_line', '1,2', '{{b,metadata,topic}}', format => 'csv');
SELECT try('csv_line', 'nobody reads this,x,2', format => 'csv', needed => '{b,c}');
SELECT sqlstate, message_text FROM decode_record('csv_line', '\x312cff2c32', 'csv');
SELECT try('csv_line', '1,x,2', format => 'csv', options => '{delimiter,ab}');
SELECT try('csv_line', '1,x,2', format => 'csv', options => '{header,true}');
SELECT try('csv_line', '1,x,2', format => 'csv', options => '{delimiter,"\""}');
SELECT try('csv_line', '1,x,2', format => 'csv', options => '{"null","-,-"}');
SELECT try('rest', '1', '{{others,metadata,unknown_fields}}', format => 'csv');

-- raw
CREATE TABLE raw_text (v text, k bytea);
CREATE TABLE raw_bytes (v bytea);
CREATE TABLE raw_json (v jsonb);
SELECT try('raw_text', 'ä', '{{k,metadata,key}}', format => 'raw', key => '\x00');
SELECT sqlstate, message_text, column_name FROM decode_record('raw_text', '\xff', 'raw', column_options => '{{k,metadata,key}}');
SELECT row_text FROM decode_record('raw_bytes', '\xff00', 'raw');
SELECT row_text FROM decode_record('raw_bytes', '', 'raw');
SELECT row_text FROM decode_record('raw_bytes', NULL, 'raw');
SELECT try('raw_json', m, format => 'raw') FROM (VALUES ('{"a": 1}'), ('[1,"x"]'), (' 5 '), ('{"a"'), (''), ('"\u0000"'), (NULL)) v(m);
SELECT try('csv_line', 'x', format => 'raw');
SELECT try('meta', 'x', '{{part,metadata,partition}}', format => 'raw', needed => '{part}');
SELECT try('entry', 'x', format => 'xml');

-- a decoder goes on after refusals, in any order of shapes
SELECT string_agg(coalesce(row_text, sqlstate), ' ' ORDER BY i)
FROM generate_series(1, 12) i, decode_record('entry', (ARRAY['{"booth":1,"plate":"x"}', '{"plate":"y","booth":2}', '{"booth":"bad"}', '{"z":0,"booth":3}', '{"booth"', '{"plate":"z"}'])[i % 6 + 1]::bytea);

-- headers are jsonb or text[]
SELECT try('meta', '{}', '{{ms,metadata,headers}}');

-- zones of one offset for ever, and others
CREATE TABLE moment (at timestamptz);
CREATE FUNCTION in_zone(zone text, at text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('TimeZone', zone, true);
    RETURN try('moment', format('{"at":"%s"}', at)) = ROW(at::timestamptz)::moment::text;
END $$;
SELECT bool_and(in_zone(zone, at))
FROM unnest('{UTC,GMT,Etc/GMT+5,<+0530>-05:30,Europe/Berlin,Asia/Kolkata,America/New_York,Africa/Casablanca,Australia/Lord_Howe,PST8PDT}'::text[]) zone,
     unnest('{2026-11-01 01:30:00,2026-03-29 02:30:00,2026-10-25 02:30:00,1800-01-01 00:00:00,1900-01-01 12:00:00.5,2026-04-05 01:45:00,9999-12-31 23:59:59}'::text[]) at;
