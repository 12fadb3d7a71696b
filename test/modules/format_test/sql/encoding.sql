--
-- Records are UTF-8 whatever the database's encoding.
--
CREATE DATABASE format_test_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
\c format_test_latin1
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
CREATE EXTENSION format_test;
CREATE TABLE words ("größe" int, t text, v varchar(3), j jsonb, a text[]);
-- 'größe', 'ß', as UTF-8 and escaped
SELECT row_text FROM decode_record('words', convert_to('{"größe":1,"t":"Straße","v":"äöü","j":{"ä":"ö"},"a":["ß"]}', 'UTF8'));
SELECT row_text FROM decode_record('words', '{"gr\\u00f6\\u00dfe":1,"t":"Stra\\u00dfe","v":"\\u00e4\\u00f6\\u00fc","j":"\\u00e4"}');
-- characters that LATIN1 has not
SELECT sqlstate, message_text, column_name FROM decode_record('words', '\x7b2274223a22e282ac227d');
SELECT sqlstate, message_text, column_name FROM decode_record('words', '{"t":"\\u20ac"}');
SELECT sqlstate, message_text, column_name FROM decode_record('words', '\x7b226a223a5b22e282ac225d7d');
SELECT row_text FROM decode_record('words', '\x7b2278223a22e282ac222c2274223a2279227d');
SELECT sqlstate, message_text FROM decode_record('words', '\x7b2274223a22e4227d');
-- csv
SELECT row_text FROM decode_record('words', convert_to('1,Straße,äöü,{},{}', 'UTF8'), 'csv');
SELECT sqlstate, message_text FROM decode_record('words', '\x312ce282ac2c2c2c', 'csv');
-- and back
SELECT encode_row('words', ROW(1, 'Straße', 'ä', '{"ä": 1}', '{ß}')::words) = convert_from(convert_to('{"größe":1,"t":"Straße","v":"ä","j":{"ä": 1},"a":["ß"]}', 'UTF8'), 'LATIN1') AS utf8;

-- what messages quote of a record is converted too, or refused: UTF-8 is no EUC_JP
CREATE DATABASE format_test_euc_jp ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0;
\c format_test_euc_jp
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
CREATE EXTENSION format_test;
CREATE TABLE words (id int, t text, inside int);
SELECT m AS record, message_text, convert_to(detail, 'UTF8') IS NULL AS no_detail FROM unnest('{"{\"id\":6日}","{\"id\":t日本}","{\"id\":n日本}","\"日本\"","[日本]","日本","{\"日\":{\"本\":1},\"id\":1}","{\"日\":5}"}'::text[]) m,
    decode_record('words', convert_to(m, 'UTF8'), 'json', NULL, NULL, '{{inside,field,日.本}}');
SELECT m AS key, row_text, message_text, convert_to(detail, 'UTF8') IS NULL AS no_detail FROM unnest('{日,"日本\"","\"日本\"","\"本"}'::text[]) m,
    decode_record('words', '{}', 'json', convert_to(m, 'UTF8'), '{key_format,json}', '{{t,metadata,key}}');

-- SQL_ASCII takes UTF-8 as it is, and does not cut it in a character
CREATE DATABASE format_test_sql_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;
\c format_test_sql_ascii
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
CREATE EXTENSION format_test;
CREATE TABLE words (id int, ts timestamp);
SELECT detail FROM decode_record('words', convert_to('{"id":6' || repeat('日', 100) || '}', 'UTF8'));

\c postgres
SET client_min_messages = warning;
DROP DATABASE format_test_latin1;
DROP DATABASE format_test_euc_jp;
DROP DATABASE format_test_sql_ascii;
