-- A table of the same shape with yesterday's cars.
CREATE TABLE toll_entry_history (LIKE toll_entry);
SELECT setseed(0.5);
INSERT INTO toll_entry_history
SELECT 1 + (random() * 3)::int, 'OLD-' || lpad((n % 10000)::text, 4, '0'), (1 + (n % 37) * 0.25)::numeric(6, 2),
       '2014-09-03 00:00+00'::timestamptz + n * interval '0.43 s'
FROM generate_series(0, 199999) n;

-- The very definition of the live view, over that table and range, into a table of its own.
SELECT deltaflow.run('booth_stats', target => 'booth_stats_yesterday',
       since => '2014-09-03 00:00+00', until => '2014-09-04 00:00+00', sources => '{"toll_entry": "toll_entry_history"}') AS rows_written;
