/*
 * worker.sql
 *		Control of running pipelines, and what the workers say about themselves.
 */

-- Supervisor (pipeline_id null) and pipeline workers of this database, from shared memory.
CREATE FUNCTION deltaflow.workers(
    OUT pipeline_id bigint,
    OUT pid int,
    OUT phase text,                     -- starting, running, ended, stopped, failed, no room
    OUT since timestamptz,
    OUT next_start timestamptz,
    OUT epochs bigint,                  -- these counters begin with the process
    OUT records bigint,
    OUT newest_record timestamptz,
    OUT alive boolean
) RETURNS SETOF record
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'deltaflow_workers';

CREATE FUNCTION deltaflow.workers_possible() RETURNS boolean
LANGUAGE C STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_workers_possible';
COMMENT ON FUNCTION deltaflow.workers_possible() IS 'whether the server preloads the library, so that workers run';

CREATE FUNCTION deltaflow.worker_slots_free() RETURNS int
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'deltaflow_worker_slots_free';
COMMENT ON FUNCTION deltaflow.worker_slots_free() IS 'how many more workers deltaflow.max_workers allows';

CREATE FUNCTION deltaflow.pause(name text) RETURNS void
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'deltaflow_pause';
COMMENT ON FUNCTION deltaflow.pause(text) IS 'stops an ingest or view after the epoch at hand';

CREATE FUNCTION deltaflow.resume(name text) RETURNS void
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'deltaflow_resume';
COMMENT ON FUNCTION deltaflow.resume(text) IS 'lets a paused or failed ingest or view go on';

CREATE FUNCTION deltaflow.resume_all() RETURNS bigint
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'deltaflow_resume_all';
COMMENT ON FUNCTION deltaflow.resume_all() IS 'resumes every paused or failed ingest and view of the caller; how many';

CREATE FUNCTION deltaflow.run_once(name text, close_windows boolean DEFAULT false) RETURNS bigint
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'deltaflow_run_once';
COMMENT ON FUNCTION deltaflow.run_once(text, boolean) IS
    'processes what is available now in this session, and closes all windows when the input is over; records taken';

CREATE FUNCTION deltaflow.wait(name text, timeout interval DEFAULT '1 minute') RETURNS boolean
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'deltaflow_wait';
COMMENT ON FUNCTION deltaflow.wait(text, interval) IS
    'true once everything that was in the sources when called is committed in that table or view; false after the timeout';
