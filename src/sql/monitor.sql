/*
 * monitor.sql
 *		What users look at: one row per ingest and view, the books, the log of epochs,
 *		and what was set aside.
 *
 * All of it reads the catalog and shared memory, never the broker.  Counts and
 * offsets are for everybody; what may hold users' data (dead letters, late rows,
 * messages of errors) is for members of the role that owns the relation, and for
 * pg_read_all_data (pg_read_all_stats for messages).  The views that filter by role
 * are security barriers, so that no function in a reader's query sees the rest.
 */

-- The name a topic has in the broker.
CREATE FUNCTION deltaflow.topic_name(topic regclass) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce((SELECT o.option_value FROM pg_catalog.pg_options_to_table(f.ftoptions) o WHERE o.option_name = 'topic'),
                    topic::text)
    FROM (SELECT topic AS relid) r LEFT JOIN pg_catalog.pg_foreign_table f ON f.ftrelid = r.relid;
END;

-- An option of a topic; NULL when it is not set.
CREATE FUNCTION deltaflow.topic_option(topic regclass, name text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT o.option_value FROM pg_catalog.pg_foreign_table f, pg_catalog.pg_options_to_table(f.ftoptions) o
    WHERE f.ftrelid = topic AND o.option_name = name;
END;

-- Whether the current user may see data of a relation: as a member of its owner, or as a reader of everything.
CREATE FUNCTION deltaflow.may_see(relation regclass, reader_role text) RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT pg_catalog.pg_has_role(reader_role::regrole, 'USAGE')
           OR coalesce((SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c WHERE c.oid = relation), false);
END;

-- What is to be done about an ingest or view in that state, when its own row does not say.
CREATE FUNCTION deltaflow.next_step(name text, state text, worker_phase text) RETURNS text
LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT CASE
        WHEN state = 'paused' THEN pg_catalog.format('Call deltaflow.resume(%L).', name)
        WHEN state = 'failed' THEN pg_catalog.format('Remove the cause, then call deltaflow.resume(%L).', name)
        WHEN state <> 'stopped' THEN NULL
        WHEN pg_catalog.pg_is_in_recovery() THEN 'This server is a standby: pipelines run on the primary, and here after promotion.'
        WHEN NOT deltaflow.workers_possible() THEN
            pg_catalog.format('Add deltaflow to shared_preload_libraries and restart the server, or call deltaflow.run_once(%L).', name)
        WHEN NOT pg_catalog.current_setting('deltaflow.enabled')::boolean THEN
            'Set deltaflow.enabled to on and reload the configuration.'
        WHEN worker_phase = 'no room' THEN 'Raise max_worker_processes and restart the server.'
        WHEN worker_phase IS NULL AND deltaflow.worker_slots_free() = 0 THEN 'Raise deltaflow.max_workers and restart the server.'
        WHEN worker_phase = 'failed' THEN 'Its worker ended with an error and will be started again: see the server log for the reason.'
        ELSE 'Its worker should start within deltaflow.naptime: if it does not, see the server log.'
    END;
END;

-- Offsets of a pipeline, in one row.
CREATE VIEW deltaflow.pipeline_progress AS
    SELECT pipeline_id,
           sum(CASE WHEN end_offset IS NOT NULL THEN greatest(end_offset - next_offset, 0) END)::bigint AS lag_records,   -- null when no end was seen yet
           sum(dead)::bigint AS dead_letters,
           sum(late)::bigint AS late_rows
    FROM deltaflow.position
    GROUP BY pipeline_id;

-- One row per ingest and view.  lag_records goes by the ends as the worker last saw
-- them; lag_seconds is the age of the newest record taken while others wait.
CREATE VIEW deltaflow.status WITH (security_barrier) AS
    WITH object AS (
        SELECT p.id AS pipeline_id, p.name, p.name AS to_resume, 'ingest' AS kind, p.target AS relation, p.topic::text AS source,
               p.state, p.last_error, p.hint, g.dead_letters, g.late_rows
        FROM deltaflow.pipeline p LEFT JOIN deltaflow.pipeline_progress g ON g.pipeline_id = p.id
        WHERE p.target IS NOT NULL
        UNION ALL
        SELECT p.id, v.live::text, CASE WHEN v.state IN ('paused', 'failed') THEN v.live::text ELSE p.name END, 'view', v.live, coalesce(p.target, p.topic)::text,
               CASE WHEN p.state = 'running' OR v.state IN ('paused', 'failed') THEN v.state ELSE p.state END,
               coalesce(v.last_error, p.last_error), coalesce(v.hint, p.hint),
               coalesce((SELECT sum(vp.dead) FROM deltaflow.view_position vp WHERE vp.view_id = v.id), 0)::bigint, v.late_rows
        FROM deltaflow.view v JOIN deltaflow.pipeline p ON p.id = v.pipeline_id
    ), shown AS (
        SELECT o.*, p.watermark, g.lag_records, w.phase,
               CASE WHEN deltaflow.topic_option(p.topic, 'event_time') IS NOT NULL
                    THEN coalesce(deltaflow.topic_option(p.topic, 'watermark_delay')::interval, interval '0') END AS watermark_delay,
               CASE WHEN o.state IN ('running', 'backfilling') AND coalesce(w.phase, '') NOT IN ('running', 'starting')
                    THEN 'stopped' ELSE o.state END AS shown_state,
               CASE WHEN w.alive AND p.last_commit > now() - interval '10 seconds' THEN p.rows_per_second ELSE 0 END AS rows_per_second,
               CASE WHEN g.lag_records > 0
                    THEN greatest(extract(epoch FROM clock_timestamp() - coalesce(w.newest_record, p.last_commit, p.created_at)), 0)::float8
                    WHEN g.lag_records = 0 THEN 0 END AS lag_seconds,
               deltaflow.may_see(o.relation, 'pg_read_all_stats') AS may_see
        FROM object o
        JOIN deltaflow.pipeline p ON p.id = o.pipeline_id
        LEFT JOIN deltaflow.pipeline_progress g ON g.pipeline_id = o.pipeline_id
        LEFT JOIN deltaflow.workers() w ON w.pipeline_id = o.pipeline_id
    )
    SELECT name, kind, shown_state AS state, source, lag_records, lag_seconds, rows_per_second,
           watermark, dead_letters, late_rows,
           CASE WHEN may_see THEN last_error END AS last_error,
           coalesce(CASE WHEN may_see THEN hint END,
                    deltaflow.next_step(to_resume, shown_state, phase)) AS hint,
           watermark_delay
    FROM shown;
COMMENT ON VIEW deltaflow.status IS 'one row per ingest and continuous view: is it running, how far behind, what to do';

-- What each partition has shown of event time, and which of them hold the watermark
-- where it is: those behind it, and those that have shown no event time yet.
CREATE VIEW deltaflow.watermarks AS
    WITH source AS (
        SELECT p.id, p.name, p.topic, p.watermark,
               coalesce(deltaflow.topic_option(p.topic, 'watermark_delay')::interval, interval '0') AS watermark_delay,
               deltaflow.topic_option(p.topic, 'idle_timeout')::interval AS idle_timeout
        FROM deltaflow.pipeline p WHERE deltaflow.topic_option(p.topic, 'event_time') IS NOT NULL
    ), partition AS (
        SELECT s.*, o.topic_partition, o.max_event_time, o.max_event_time - s.watermark_delay AS own, o.active_at, o.future,
               coalesce(o.end_offset <= o.next_offset AND clock_timestamp() - o.active_at >= s.idle_timeout, false) AS silent
        FROM source s JOIN deltaflow.position o ON o.pipeline_id = s.id
    )
    SELECT name, deltaflow.topic_name(topic) AS topic, topic_partition AS partition, max_event_time, own AS watermark,
           watermark_delay, active_at AS last_record_at, silent,
           NOT silent AND coalesce(own, '-infinity') <= min(coalesce(own, '-infinity')) FILTER (WHERE NOT silent) OVER (PARTITION BY id) AS holds, future AS future_rows
    FROM partition;
COMMENT ON VIEW deltaflow.watermarks IS 'event time per partition: how far each is, and which hold the watermark where it is';

-- The books: consumed = applied + late + dead + filtered + redelivered in every row.
CREATE VIEW deltaflow.accounting AS
    SELECT p.name, deltaflow.topic_name(p.topic) AS topic, o.topic_partition AS partition,
           o.consumed, o.applied, o.late, o.dead, o.filtered, o.redelivered, o.next_offset
    FROM deltaflow.pipeline p JOIN deltaflow.position o ON o.pipeline_id = p.id
    WHERE p.target IS NOT NULL
    UNION ALL
    SELECT v.live::text, deltaflow.topic_name(p.topic), o.topic_partition,
           o.consumed, o.applied, o.late, o.dead, o.filtered, o.redelivered, o.next_offset
    FROM deltaflow.view v
    JOIN deltaflow.pipeline p ON p.id = v.pipeline_id
    JOIN deltaflow.view_position o ON o.view_id = v.id
    WHERE p.target IS NULL;
COMMENT ON VIEW deltaflow.accounting IS 'what became of every record consumed, per partition';

-- One row per epoch and partition that moved in it, for deltaflow.epoch_retention.
CREATE VIEW deltaflow.epochs AS
    SELECT p.name, e.epoch, e.committed_at, e.watermark, deltaflow.topic_name(p.topic) AS topic,
           e.topic_partition AS partition, e.first_offset, e.next_offset, e.records
    FROM deltaflow.epoch e JOIN deltaflow.pipeline p ON p.id = e.pipeline_id;
COMMENT ON VIEW deltaflow.epochs IS 'the log of epochs: what each took, and the watermark it judged lateness by';

-- Records that are not rows.  They outlive their ingest; then only readers of everything see them.
CREATE VIEW deltaflow.dead_letters WITH (security_barrier) AS
    SELECT d.id, d.at, coalesce(v.live::text, d.name) AS name, d.topic, d.partition, d.record_offset, d.record_time, d.key, d.value, d.headers,
           d.stage, d.sqlstate, d.message, d.detail, d.column_name, d.attempts, d.replayed_at
    FROM deltaflow.dead_letter d
    LEFT JOIN deltaflow.pipeline p ON p.id = d.pipeline_id
    LEFT JOIN deltaflow.view v ON v.id = d.view_id
    WHERE deltaflow.may_see(coalesce(v.live, p.target, p.topic), 'pg_read_all_data');
COMMENT ON VIEW deltaflow.dead_letters IS 'records that could not be decoded or stored, each with its reason';

-- Rows that came after their window was final.
CREATE VIEW deltaflow.late_rows WITH (security_barrier) AS
    SELECT l.at, v.live::text AS name, l.epoch, l.topic, l.partition, l.record_offset, l.event_time,
           l.window_start, l.window_end, l.row_data
    FROM deltaflow.late_row l JOIN deltaflow.view v ON v.id = l.view_id
    WHERE deltaflow.may_see(v.live, 'pg_read_all_data');
COMMENT ON VIEW deltaflow.late_rows IS 'rows that came after their window was final, and which window that was';

GRANT USAGE ON SCHEMA deltaflow TO PUBLIC;
GRANT SELECT ON deltaflow.status, deltaflow.watermarks, deltaflow.accounting, deltaflow.epochs, deltaflow.dead_letters, deltaflow.late_rows TO PUBLIC;
