-- fdw.sql: the wrapper whose foreign tables are topics.

CREATE FOREIGN DATA WRAPPER deltaflow_kafka;
