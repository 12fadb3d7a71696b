/*
 * view.sql
 *		Continuous views: making and explaining them, and the final functions that
 *		live views call on their state.
 */

-- Variance family from (count, sum, sum of squares); exact types give the digits of
-- the plain aggregates.
CREATE FUNCTION deltaflow.final_var_pop(n bigint, sum numeric, sumsq numeric) RETURNS numeric
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_final_var_pop_numeric';
CREATE FUNCTION deltaflow.final_var_samp(n bigint, sum numeric, sumsq numeric) RETURNS numeric
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_final_var_samp_numeric';
CREATE FUNCTION deltaflow.final_stddev_pop(n bigint, sum numeric, sumsq numeric) RETURNS numeric
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_final_stddev_pop_numeric';
CREATE FUNCTION deltaflow.final_stddev_samp(n bigint, sum numeric, sumsq numeric) RETURNS numeric
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_final_stddev_samp_numeric';
CREATE FUNCTION deltaflow.final_var_pop(n bigint, sum float8[], sumsq float8[]) RETURNS float8
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_final_var_pop_float';
CREATE FUNCTION deltaflow.final_var_samp(n bigint, sum float8[], sumsq float8[]) RETURNS float8
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_final_var_samp_float';
CREATE FUNCTION deltaflow.final_stddev_pop(n bigint, sum float8[], sumsq float8[]) RETURNS float8
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_final_stddev_pop_float';
CREATE FUNCTION deltaflow.final_stddev_samp(n bigint, sum float8[], sumsq float8[]) RETURNS float8
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_final_stddev_samp_float';

-- The result of any other aggregate from its state (as it is, or serialized); the last
-- argument only tells the result's type.
CREATE FUNCTION deltaflow.finalize(aggregate regprocedure, state "any", result anyelement) RETURNS anyelement
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_finalize';
-- The same for final functions that go by the types of the arguments: nulls of those.
CREATE FUNCTION deltaflow.finalize(aggregate regprocedure, state "any", result anyelement, VARIADIC inputs "any") RETURNS anyelement
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_finalize';

-- The watermark of the pipeline that keeps a view, by the view's state table: what a
-- live view with emit => 'close' compares its windows with.
CREATE FUNCTION deltaflow.watermark_of(state_table regclass) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    RETURN (SELECT p.watermark FROM deltaflow.pipeline p JOIN deltaflow.view v ON v.pipeline_id = p.id
            WHERE v.state_table = watermark_of.state_table);

-- The border of what a view retains, by its state table: windows that begin before it
-- may have lost panes.  Of timestamps without time zone as UTC.
CREATE FUNCTION deltaflow.horizon_of(state_table regclass) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    RETURN coalesce((SELECT v.horizon FROM deltaflow.view v WHERE v.state_table = horizon_of.state_table), '-infinity');

-- The watermark from which on a window is final.
CREATE FUNCTION deltaflow.window_limit(window_end timestamptz, lateness interval) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_window_limit';

-- A session is final one gap later than other windows: until then a row could touch it.
CREATE FUNCTION deltaflow.is_final(view regclass, window_end timestamptz) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    RETURN (SELECT coalesce(deltaflow.window_limit(is_final.window_end, v.final_after) <= p.watermark, false)
            FROM deltaflow.view v JOIN deltaflow.pipeline p ON p.id = v.pipeline_id WHERE v.live = is_final.view);
COMMENT ON FUNCTION deltaflow.is_final(regclass, timestamptz) IS
    'whether the windows of a continuous view that end there have their last value; null when it is not a continuous view';

CREATE FUNCTION deltaflow.is_final(view regclass, window_end timestamp) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN deltaflow.is_final(view, window_end AT TIME ZONE 'UTC');
COMMENT ON FUNCTION deltaflow.is_final(regclass, timestamp) IS
    'the same for windows over timestamp without time zone, which is compared as UTC';

CREATE FUNCTION deltaflow.create_view(name text, query text DEFAULT NULL, from_view regclass DEFAULT NULL,
                                      lateness interval DEFAULT NULL, emit text DEFAULT 'update',
                                      start text DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'deltaflow_create_view';
COMMENT ON FUNCTION deltaflow.create_view(text, text, regclass, interval, text, text, jsonb) IS
    'makes a continuous view: <name> live, <name>_batch the definition, <name>_state its state';

CREATE FUNCTION deltaflow.set_view_options(name text, options jsonb) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'deltaflow_set_view_options';
COMMENT ON FUNCTION deltaflow.set_view_options(text, jsonb) IS
    'changes options of a continuous view: how long windows are retained, how much it may keep';

CREATE FUNCTION deltaflow.explain(view regclass) RETURNS SETOF text
    LANGUAGE c STABLE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'deltaflow_explain';
COMMENT ON FUNCTION deltaflow.explain(regclass) IS 'how a continuous view is kept, and why';

-- The live view leads: what belongs to it follows renames, SET SCHEMA, OWNER TO and DROP.
CREATE FUNCTION deltaflow.on_ddl() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'deltaflow_on_ddl';
CREATE FUNCTION deltaflow.on_drop() RETURNS event_trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'deltaflow_on_drop';

CREATE EVENT TRIGGER deltaflow_ddl ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER VIEW', 'ALTER FOREIGN TABLE', 'CREATE VIEW')
    EXECUTE FUNCTION deltaflow.on_ddl();
CREATE EVENT TRIGGER deltaflow_drop ON sql_drop
    EXECUTE FUNCTION deltaflow.on_drop();
