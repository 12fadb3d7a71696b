/*
 * window.sql
 *		Functions that definitions use, and where a window ends.  All run in any query.
 */

-- A value that deltaflow.run may replace by its name; anywhere else it is the value.
CREATE FUNCTION deltaflow.param(name text, value anyelement) RETURNS anyelement
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_param';
COMMENT ON FUNCTION deltaflow.param(text, anyelement) IS 'a value in a definition that deltaflow.run may replace';

-- The end of the window that begins at start: of date_bin by its stride (a day is 24
-- hours), of date_trunc by its unit in the calendar of the zone.  infinity where the
-- calendar ends.
CREATE FUNCTION deltaflow.window_end(window_start timestamptz, stride interval) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_window_end_bin';
CREATE FUNCTION deltaflow.window_end(window_start timestamp, stride interval) RETURNS timestamp
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_window_end_bin';
CREATE FUNCTION deltaflow.window_end(window_start timestamp, unit text) RETURNS timestamp
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_window_end_trunc';
CREATE FUNCTION deltaflow.window_end(window_start timestamptz, unit text) RETURNS timestamptz
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_window_end_trunc_tz';
CREATE FUNCTION deltaflow.window_end(window_start timestamptz, unit text, zone text) RETURNS timestamptz
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_window_end_trunc_zone';
