/*
 * ingest.sql
 *		Topics into tables: making, dropping and repositioning ingests.
 */

CREATE FUNCTION deltaflow.create_ingest(
    topic regclass,
    target regclass,
    start text DEFAULT 'earliest',
    name text DEFAULT NULL,
    filter text DEFAULT NULL,
    options jsonb DEFAULT '{}'
) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'deltaflow_create_ingest';
COMMENT ON FUNCTION deltaflow.create_ingest(regclass, regclass, text, text, text, jsonb) IS
    'consumes a topic into a table; start is earliest, latest, a timestamp, or {"0": 1042} per partition';

CREATE FUNCTION deltaflow.drop_ingest(name text) RETURNS void
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'deltaflow_drop_ingest';
COMMENT ON FUNCTION deltaflow.drop_ingest(text) IS 'ends an ingest; the table it filled stays';

CREATE FUNCTION deltaflow.set_position(name text, topic_partition int, next_offset bigint) RETURNS void
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'deltaflow_set_position';
COMMENT ON FUNCTION deltaflow.set_position(text, int, bigint) IS
    'sets the next record to read of one partition, after offsets were lost; the epoch log keeps the decision';

-- Dropping a target ends its ingest; dropping a topic in use is refused.
CREATE FUNCTION deltaflow.ingest_on_drop() RETURNS event_trigger
LANGUAGE C AS 'MODULE_PATHNAME', 'deltaflow_ingest_on_drop';

-- Credentials and addresses that change are used at once.
CREATE FUNCTION deltaflow.on_connection_change() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'deltaflow_on_connection_change';
CREATE EVENT TRIGGER deltaflow_connection ON ddl_command_end
    WHEN TAG IN ('ALTER SERVER', 'CREATE USER MAPPING', 'ALTER USER MAPPING', 'DROP USER MAPPING', 'ALTER FOREIGN TABLE')
    EXECUTE FUNCTION deltaflow.on_connection_change();

CREATE EVENT TRIGGER deltaflow_ingest_on_drop ON sql_drop
    WHEN TAG IN ('DROP TABLE', 'DROP FOREIGN TABLE', 'DROP SCHEMA', 'DROP SERVER', 'DROP FOREIGN DATA WRAPPER',
                 'DROP OWNED', 'DROP EXTENSION', 'DROP TYPE')
    EXECUTE FUNCTION deltaflow.ingest_on_drop();
