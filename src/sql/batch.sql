/*
 * batch.sql
 *		The same definitions over stored rows: run, recompute, reconcile.
 */

CREATE FUNCTION deltaflow.run(view text, target text, since timestamptz, until timestamptz,
                              sources jsonb DEFAULT NULL, params jsonb DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'deltaflow_run';
COMMENT ON FUNCTION deltaflow.run(text, text, timestamptz, timestamptz, jsonb, jsonb) IS
'runs a view''s definition over a range of event time and replaces that range in a table';

CREATE FUNCTION deltaflow.recompute(view text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'deltaflow_recompute';
COMMENT ON FUNCTION deltaflow.recompute(text, timestamptz, timestamptz) IS
'corrects a live view in place from the stored rows; returns how many of its rows changed';

CREATE FUNCTION deltaflow.reconcile(view text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
                                    OUT side text, OUT reason text, OUT row_data jsonb)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'deltaflow_reconcile';
COMMENT ON FUNCTION deltaflow.reconcile(text, timestamptz, timestamptz) IS
'the rows in which a live view and its batch view differ, and why; normally none';

CREATE FUNCTION deltaflow.lateness_report(relation regclass, delays interval[] DEFAULT NULL, window_size interval DEFAULT NULL,
                                          OUT partition int, OUT rows bigint, OUT watermark_delay interval,
                                          OUT rows_behind bigint, OUT quantile float8)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'deltaflow_lateness_report';
COMMENT ON FUNCTION deltaflow.lateness_report(regclass, interval[], interval) IS
'how late rows of a topic or an ingested table come: which watermark_delay would leave how many behind';

-- A condition that batch queries carry to count the rows they read.
CREATE FUNCTION deltaflow.scan_tick() RETURNS boolean
LANGUAGE C VOLATILE PARALLEL SAFE COST 0.01
AS 'MODULE_PATHNAME', 'deltaflow_scan_tick';

-- Equal up to the rounding that the order of a float sum may bring.
CREATE FUNCTION deltaflow.float_close(a double precision, b double precision) RETURNS boolean
LANGUAGE SQL IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN a IS NOT DISTINCT FROM b THEN true
    WHEN a IS NULL OR b IS NULL OR a IN ('NaN', 'Infinity', '-Infinity') OR b IN ('NaN', 'Infinity', '-Infinity') THEN false
    ELSE abs(a / 2 - b / 2) <= 5e-10 * greatest(abs(a), abs(b))
END;

-- The same of values kept in single precision: the plain sum(real) adds in real, too.
CREATE FUNCTION deltaflow.float_close(a real, b real) RETURNS boolean
LANGUAGE SQL IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN a IS NOT DISTINCT FROM b THEN true
    WHEN a IS NULL OR b IS NULL OR a IN ('NaN', 'Infinity', '-Infinity') OR b IN ('NaN', 'Infinity', '-Infinity') THEN false
    ELSE abs(a::float8 - b) <= 1e-4 * greatest(abs(a), abs(b))
END;

CREATE FUNCTION deltaflow.progress_slots(OUT pid int, OUT command text, OUT view oid, OUT phase text,
                                         OUT rows_read bigint, OUT rows_total bigint, OUT started_at timestamptz)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'deltaflow_progress_slots';

CREATE VIEW deltaflow.progress AS
    SELECT p.pid, p.command, p.view::regclass::text AS view, p.phase, p.rows_read, p.rows_total, p.started_at
    FROM deltaflow.progress_slots() p;
COMMENT ON VIEW deltaflow.progress IS 'batch work that is running now';
GRANT SELECT ON deltaflow.progress TO PUBLIC;
