\echo Use "CREATE EXTENSION format_test" to load this file. \quit

CREATE FUNCTION decode_record(shape regclass, message bytea, format text DEFAULT 'json', key bytea DEFAULT NULL,
    options text[] DEFAULT NULL, column_options text[] DEFAULT NULL, needed text[] DEFAULT NULL,
    OUT row_text text, OUT image bytea, OUT sqlstate text, OUT stage text, OUT message_text text,
    OUT detail text, OUT column_name text)
AS 'MODULE_PATHNAME', 'format_test_decode' LANGUAGE C;

CREATE FUNCTION encode_row(shape regclass, row_value record, format text DEFAULT 'json', key bytea DEFAULT NULL,
    options text[] DEFAULT NULL, column_options text[] DEFAULT NULL) RETURNS text
AS 'MODULE_PATHNAME', 'format_test_encode' LANGUAGE C;

CREATE FUNCTION image(anyelement) RETURNS bytea
AS 'MODULE_PATHNAME', 'format_test_image' LANGUAGE C STRICT;

CREATE FUNCTION decode_cost(shape regclass, message bytea, format text, key bytea, options text[], column_options text[],
    needed text[], repetitions int) RETURNS float8
AS 'MODULE_PATHNAME', 'format_test_bench' LANGUAGE C;
