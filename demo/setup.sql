CREATE EXTENSION deltaflow;
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" :'broker');

-- A topic is a foreign table: its columns, its event time, its rules.
CREATE FOREIGN TABLE toll_entry_topic (
    booth int NOT NULL,
    license_plate text NOT NULL,
    toll numeric NOT NULL CHECK (toll >= 0),
    entry_time timestamptz NOT NULL
) SERVER broker OPTIONS (topic 'toll.entry', format 'json', event_time 'entry_time', watermark_delay '30 s');

-- Every record becomes a row of a table of yours.
CREATE TABLE toll_entry (booth int NOT NULL, license_plate text NOT NULL, toll numeric NOT NULL, entry_time timestamptz NOT NULL);
SELECT deltaflow.create_ingest('toll_entry_topic', target => 'toll_entry');

-- A continuous view is an ordinary SELECT, kept up to date.
SELECT deltaflow.create_view('booth_stats', $$
    SELECT booth, date_bin('10 min', entry_time, '2000-01-01') AS window_start,
           count(*) AS vehicles, sum(toll) AS tolls, max(toll) AS dearest
    FROM toll_entry GROUP BY 1, 2 $$, lateness => '2 min');
