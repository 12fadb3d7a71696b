/*
 * pane.sql
 *		What views over hop and cumulate are kept and read with.
 */

-- The start of the pane that a time lies in: all times of a pane have the same windows.
CREATE FUNCTION deltaflow.pane_start(width interval, ts timestamptz, origin timestamptz) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_pane_start';
CREATE FUNCTION deltaflow.pane_start(width interval, ts timestamp, origin timestamp) RETURNS timestamp
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_pane_start';

-- Whether a time lies in a hopping window: not always, where slide is longer than size.
CREATE FUNCTION deltaflow.has_window(ts timestamptz, slide interval, size interval, origin timestamptz) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_has_window';
CREATE FUNCTION deltaflow.has_window(ts timestamp, slide interval, size interval, origin timestamp) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_has_window';

-- Between which panes a live view looks for windows: everywhere, or where the reader's
-- conditions on window_start and window_end let the planner look.
CREATE FUNCTION deltaflow.pane_shift(ts timestamptz, length interval) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_pane_shift';
CREATE FUNCTION deltaflow.pane_shift(ts timestamp, length interval) RETURNS timestamp
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_pane_shift';
CREATE FUNCTION deltaflow.panes_from_support(internal) RETURNS internal
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'deltaflow_panes_from_support';
CREATE FUNCTION deltaflow.panes_upto_support(internal) RETURNS internal
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'deltaflow_panes_upto_support';
CREATE FUNCTION deltaflow.panes_from(unbounded timestamptz, size interval) RETURNS timestamptz
    LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT deltaflow.panes_from_support AS 'MODULE_PATHNAME', 'deltaflow_panes_bound';
CREATE FUNCTION deltaflow.panes_from(unbounded timestamp, size interval) RETURNS timestamp
    LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT deltaflow.panes_from_support AS 'MODULE_PATHNAME', 'deltaflow_panes_bound';
CREATE FUNCTION deltaflow.panes_upto(unbounded timestamptz, size interval) RETURNS timestamptz
    LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT deltaflow.panes_upto_support AS 'MODULE_PATHNAME', 'deltaflow_panes_bound';
CREATE FUNCTION deltaflow.panes_upto(unbounded timestamp, size interval) RETURNS timestamp
    LANGUAGE c STABLE STRICT PARALLEL SAFE SUPPORT deltaflow.panes_upto_support AS 'MODULE_PATHNAME', 'deltaflow_panes_bound';

-- The windows of a pane that the pane before it, if there is one, is not in; and the
-- panes that each of them has, first to last.  Called for panes in their order this
-- gives each window once.
CREATE FUNCTION deltaflow.hop_windows(pane timestamptz, before timestamptz, slide interval, size interval, origin timestamptz,
                                      OUT window_start timestamptz, OUT window_end timestamptz,
                                      OUT first_pane timestamptz, OUT last_pane timestamptz) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 2 AS 'MODULE_PATHNAME', 'deltaflow_hop_windows';
CREATE FUNCTION deltaflow.hop_windows(pane timestamp, before timestamp, slide interval, size interval, origin timestamp,
                                      OUT window_start timestamp, OUT window_end timestamp,
                                      OUT first_pane timestamp, OUT last_pane timestamp) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 2 AS 'MODULE_PATHNAME', 'deltaflow_hop_windows';
CREATE FUNCTION deltaflow.cumulate_windows(pane timestamptz, before timestamptz, step interval, size interval, origin timestamptz,
                                           OUT window_start timestamptz, OUT window_end timestamptz,
                                           OUT first_pane timestamptz, OUT last_pane timestamptz) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 2 AS 'MODULE_PATHNAME', 'deltaflow_cumulate_windows';
CREATE FUNCTION deltaflow.cumulate_windows(pane timestamp, before timestamp, step interval, size interval, origin timestamp,
                                           OUT window_start timestamp, OUT window_end timestamp,
                                           OUT first_pane timestamp, OUT last_pane timestamp) RETURNS SETOF record
    LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 2 AS 'MODULE_PATHNAME', 'deltaflow_cumulate_windows';

-- States of several panes into one.  Counts and sums of integers: overflow is the error
-- that adding bigints gives.
CREATE AGGREGATE deltaflow.merge_bigint(bigint) (
    SFUNC = pg_catalog.int8pl, STYPE = bigint, COMBINEFUNC = pg_catalog.int8pl, PARALLEL = SAFE);

-- Exact sums of floats.
CREATE FUNCTION deltaflow.merge_float_sum_step(internal, float8[]) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_merge_float_sum_step';
CREATE FUNCTION deltaflow.merge_float_sum_final(internal) RETURNS float8[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_merge_float_sum_final';
CREATE AGGREGATE deltaflow.merge_float_sum(float8[]) (
    SFUNC = deltaflow.merge_float_sum_step, STYPE = internal, FINALFUNC = deltaflow.merge_float_sum_final,
    PARALLEL = SAFE);

-- States of any aggregate, as they are or serialized, by its own combine function.
CREATE FUNCTION deltaflow.merge_state_step(internal, aggregate regprocedure, state anyelement) RETURNS internal
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_merge_state_step';
CREATE FUNCTION deltaflow.merge_state_final(internal, aggregate regprocedure, state anyelement) RETURNS anyelement
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'deltaflow_merge_state_final';
CREATE AGGREGATE deltaflow.merge_state(aggregate regprocedure, state anyelement) (
    SFUNC = deltaflow.merge_state_step, STYPE = internal,
    FINALFUNC = deltaflow.merge_state_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE,
    PARALLEL = SAFE);
