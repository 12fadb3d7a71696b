-- Continuous views over deltaflow.session(): what can be kept, what is refused, what
-- is made, and what explain says.
CREATE EXTENSION deltaflow;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE bid_topic (
    bidder bigint, price numeric, channel text, date_time timestamptz, local timestamp
) SERVER broker OPTIONS (topic 'bid', format 'json', event_time 'date_time', watermark_delay '4 s');
CREATE TABLE bid (LIKE bid_topic);
INSERT INTO deltaflow.pipeline (name, topic, target, start_at, system_identifier, database_id)
VALUES ('bid', 'bid_topic', 'bid', 'earliest', 0, 0);
RESET client_min_messages;

-- Nexmark q11: bids of each user in sessions of 10 s
SELECT deltaflow.create_view('bids_per_session', $$
    SELECT bidder, lower(s) AS session_start, upper(s) AS session_end, count(*) AS bids, max(price)
    FROM (SELECT bidder, price, deltaflow.session(date_time, '10 s') OVER (PARTITION BY bidder ORDER BY date_time) AS s FROM bid) b
    GROUP BY bidder, s $$, lateness => '1 min');
\d bids_per_session
\d bids_per_session_state
SELECT * FROM deltaflow.explain('bids_per_session');

-- only final ones; plain views and CTEs in between; conditions before the sessions are made; HAVING after
CREATE VIEW good_bid AS SELECT bidder AS who, upper(channel) AS channel, price * 2 AS price, local AS at FROM bid WHERE price > 0;
CREATE VIEW bid_session AS SELECT *, deltaflow.session(at, deltaflow.param('gap', interval '1 min')) OVER w FROM good_bid WHERE channel <> 'X' WINDOW w AS (PARTITION BY who, channel ORDER BY at);
SELECT deltaflow.create_view('channels', $$
    WITH s AS (SELECT channel, session AS range, who, price FROM bid_session)
    SELECT range, channel, who AS bidder, sum(price) FILTER (WHERE price > 10) FROM s GROUP BY range, channel, who HAVING count(*) > 1 $$);
\d channels
SELECT replace(pg_get_viewdef('channels'), 'channels_state.', '') AS definition;	-- 16 and later leave the name out
SELECT * FROM deltaflow.explain('channels');
SELECT deltaflow.create_view('final', $$
    SELECT count(*) FROM (SELECT deltaflow.session(date_time, '10 s') OVER (ORDER BY date_time ASC NULLS FIRST ROWS UNBOUNDED PRECEDING) AS s FROM bid) b GROUP BY s $$,
    lateness => '0', emit => 'close');
\d final
SELECT replace(pg_get_viewdef('final'), 'final_state.', '') AS definition;
-- the same again does nothing
SELECT deltaflow.create_view('final', $$
    SELECT count(*) FROM (SELECT deltaflow.session(date_time, '10 s') OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY s $$,
    lateness => '0', emit => 'close');
-- another gap is another definition
SELECT deltaflow.create_view('final', $$
    SELECT count(*) FROM (SELECT deltaflow.session(date_time, '11 s') OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY s $$,
    lateness => '0', emit => 'close');

-- refused: the call
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT deltaflow.session(date_time, date_time - date_time) OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY s');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT deltaflow.session(date_time, NULL) OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY s');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT deltaflow.session(date_time, ''1 month'') OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY s');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT deltaflow.session(date_time, ''-1 s'') OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY s');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT deltaflow.session(date_time, ''1 s'') OVER (PARTITION BY bidder) AS s, bidder FROM bid) b GROUP BY s, bidder');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time DESC) AS s FROM bid) b GROUP BY s');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time, bidder) AS s FROM bid) b GROUP BY s');
SELECT deltaflow.create_view('v', 'SELECT count(*) FROM (SELECT deltaflow.session(date_time + random() * interval ''1 s'', ''1 s'') OVER (ORDER BY date_time + random() * interval ''1 s'') AS s FROM bid) b GROUP BY s');
-- refused: other window functions
SELECT deltaflow.create_view('v', 'SELECT r, count(*) FROM (SELECT rank() OVER (ORDER BY date_time) AS r FROM bid) b GROUP BY r');
SELECT deltaflow.create_view('v', 'SELECT s, count(*) FROM (SELECT deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time) AS s, lag(price) OVER (ORDER BY date_time) AS before FROM bid) b GROUP BY s');
SELECT deltaflow.create_view('v', 'SELECT s, count(*) FROM (SELECT deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time) AS s, deltaflow.session(date_time, ''2 s'') OVER (ORDER BY date_time) AS t FROM bid) b GROUP BY s');
SELECT deltaflow.create_view('v', 'SELECT bidder, deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time), count(*) FROM bid GROUP BY bidder, date_time');
-- refused: the grouping
SELECT deltaflow.create_view('v', 'SELECT s, count(*) FROM (SELECT bidder, deltaflow.session(date_time, ''1 s'') OVER (PARTITION BY bidder ORDER BY date_time) AS s FROM bid) b GROUP BY s');
SELECT deltaflow.create_view('v', 'SELECT s, channel, count(*) FROM (SELECT channel, deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY s, channel');
SELECT deltaflow.create_view('v', 'SELECT lower(s), count(*) FROM (SELECT deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY 1');
SELECT deltaflow.create_view('v', 'SELECT bidder, count(*) FROM (SELECT bidder, deltaflow.session(date_time, ''1 s'') OVER (PARTITION BY bidder ORDER BY date_time) AS s FROM bid) b GROUP BY bidder');
SELECT deltaflow.create_view('v', 'SELECT s, max(upper(s)) FROM (SELECT deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY s');
-- refused: what takes rows out of sessions
SELECT deltaflow.create_view('v', 'SELECT s, count(*) FROM (SELECT price, deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time) AS s FROM bid) b WHERE price > 1 GROUP BY s');
SELECT deltaflow.create_view('v', 'WITH a AS (SELECT price, deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time) AS s FROM bid), b AS (SELECT s FROM a WHERE price > 1) SELECT s, count(*) FROM b GROUP BY s');

-- retain: not before a row for the session is late, and only where the session is shown
SELECT deltaflow.create_view('v', 'SELECT s, count(*) FROM (SELECT deltaflow.session(date_time, ''1 s'') OVER (ORDER BY date_time) AS s FROM bid) b GROUP BY s', lateness => '1 hour', options => '{"retain": "59 min"}');
SELECT deltaflow.create_view('v', 'SELECT bidder, count(*) FROM (SELECT bidder, deltaflow.session(date_time, ''1 s'') OVER (PARTITION BY bidder ORDER BY date_time) AS s FROM bid) b GROUP BY bidder, s', options => '{"retain": "1 hour"}');
SELECT deltaflow.create_view('v', 'SELECT bidder, count(*) FROM bid GROUP BY bidder, date_trunc(''hour'', date_time)', options => '{"retain": "1 hour"}');
SELECT deltaflow.create_view('kept', 'SELECT bidder, upper(s) AS ended, count(*) FROM (SELECT bidder, deltaflow.session(date_time, ''1 s'') OVER (PARTITION BY bidder ORDER BY date_time) AS s FROM bid) b GROUP BY bidder, s', options => '{"retain": "1 hour"}');
\d kept_state
-- a view that was made without it
SELECT deltaflow.create_view('kept_later', 'SELECT bidder, count(*) FROM (SELECT bidder, deltaflow.session(date_time, ''1 s'') OVER (PARTITION BY bidder ORDER BY date_time) AS s FROM bid) b GROUP BY bidder, s', lateness => '1 hour');
SELECT deltaflow.set_view_options('kept_later', '{"retain": "1 hour"}');

DROP VIEW bids_per_session;
SELECT relname FROM pg_class WHERE relname LIKE 'bids_per_session%';
