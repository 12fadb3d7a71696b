-- fdw.sql: the wrapper whose foreign tables are topics.

CREATE FUNCTION deltaflow.kafka_handler() RETURNS fdw_handler
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'deltaflow_kafka_handler';

CREATE FUNCTION deltaflow.kafka_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'deltaflow_kafka_validator';

CREATE FOREIGN DATA WRAPPER deltaflow_kafka
    HANDLER deltaflow.kafka_handler
    VALIDATOR deltaflow.kafka_validator;

COMMENT ON FOREIGN DATA WRAPPER deltaflow_kafka IS 'Kafka topics as foreign tables';
