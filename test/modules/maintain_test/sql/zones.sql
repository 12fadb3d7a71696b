-- Windows by local time where zones do strange things: live equals the definition in
-- whatever order rows come, though starts are remembered between rows.
CREATE EXTENSION deltaflow;
CREATE EXTENSION maintain_test;
SET client_min_messages = warning;

-- Times around changes of offset: an hour twice (Paris), half an hour twice (Lord Howe),
-- a minute of tomorrow before today goes on (St. John's before 2011), a day that begins at 01:00
-- (Havana, Beirut), a day left out (Apia), a quarter of an hour (Kathmandu 1986), local mean time.
CREATE TABLE tick (at timestamptz, local timestamp, v int);
INSERT INTO tick
SELECT t, t AT TIME ZONE 'Europe/Paris', extract(minute FROM t)
FROM unnest(ARRAY['2024-10-27 00:00Z', '2024-03-31 00:00Z', '2024-04-06 14:00Z', '2024-10-05 14:00Z', '2006-10-29 02:00Z', '2006-04-02 03:00Z',
                  '2024-11-03 04:00Z', '2024-03-10 04:00Z', '2011-12-30 09:00Z', '1985-12-31 18:00Z', '1911-03-10 23:00Z', '0044-03-15 00:00 BC']::timestamptz[]) change,
     generate_series(change - interval '4 h', change + interval '4 h', interval '13 min') AS g(t);
INSERT INTO tick SELECT at + interval '26 h', local, v FROM tick;
INSERT INTO tick VALUES (NULL, NULL, 0), ('infinity', 'infinity', 1), ('-infinity', '-infinity', 2), ('2000-01-01', '2000-01-01', 3);
SELECT maintain_source('tick');

CREATE FUNCTION check_window(expression text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM deltaflow.create_view('w', format('SELECT %s AS w, count(*) AS n, sum(v) AS v FROM tick GROUP BY 1', expression));
    FOR seed IN 0..3 LOOP
        TRUNCATE w_state;
        PERFORM maintain_fold('w', 'tick', seed => seed, shuffle => seed > 1, batch_rows => 300);
        RETURN QUERY SELECT format('%s in %s: %s', expression, current_setting('timezone'), d) FROM maintain_differences('w', 'w_batch') d;
    END LOOP;
    DROP VIEW w;
END $$;

CREATE FUNCTION check_zone(zone text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    unit text;
BEGIN
    PERFORM set_config('timezone', zone, false);
    FOREACH unit IN ARRAY ARRAY['minute', 'hour', 'day', 'week', 'month', 'year'] LOOP
        RETURN QUERY SELECT * FROM check_window(format('date_trunc(%L, at)', unit));
        RETURN QUERY SELECT * FROM check_window(format('date_trunc(%L, at, %L)', unit, 'America/St_Johns'));
    END LOOP;
END $$;

SELECT check_zone(zone) FROM unnest(ARRAY['UTC', 'Europe/Paris', 'Australia/Lord_Howe', 'America/St_Johns', 'America/Havana', 'Pacific/Apia', 'Asia/Kathmandu', 'Asia/Beirut']) zone;
RESET timezone;
SELECT check_window(w) FROM unnest(ARRAY['date_trunc(''day'', local)', 'date_trunc(''quarter'', local)', 'date_bin(''7 min'', at, ''2024-10-27 00:03Z'')',
                                         'date_bin(''1 h 7 min'', local, ''2024-10-27 00:03'')', 'date_trunc(''day'', at, ''EST'')']) w;
