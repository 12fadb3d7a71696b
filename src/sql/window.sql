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

-- Tell the planner how many windows a time has.
CREATE FUNCTION deltaflow.hop_support(request internal) RETURNS internal
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'deltaflow_hop_support';
CREATE FUNCTION deltaflow.cumulate_support(request internal) RETURNS internal
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'deltaflow_cumulate_support';

-- The windows that a time falls in, by rising start: hopping ones begin every slide and
-- last for size; cumulative ones begin every size and end at each step of it.
CREATE FUNCTION deltaflow.hop(ts timestamptz, slide interval, size interval,
                              origin timestamptz DEFAULT '2000-01-01 00:00:00+00')
    RETURNS TABLE (window_start timestamptz, window_end timestamptz)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 5 SUPPORT deltaflow.hop_support
    AS 'MODULE_PATHNAME', 'deltaflow_hop';
CREATE FUNCTION deltaflow.hop(ts timestamp, slide interval, size interval,
                              origin timestamp DEFAULT '2000-01-01 00:00:00')
    RETURNS TABLE (window_start timestamp, window_end timestamp)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 5 SUPPORT deltaflow.hop_support
    AS 'MODULE_PATHNAME', 'deltaflow_hop';
CREATE FUNCTION deltaflow.cumulate(ts timestamptz, step interval, size interval,
                                   origin timestamptz DEFAULT '2000-01-01 00:00:00+00')
    RETURNS TABLE (window_start timestamptz, window_end timestamptz)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 5 SUPPORT deltaflow.cumulate_support
    AS 'MODULE_PATHNAME', 'deltaflow_cumulate';
CREATE FUNCTION deltaflow.cumulate(ts timestamp, step interval, size interval,
                                   origin timestamp DEFAULT '2000-01-01 00:00:00')
    RETURNS TABLE (window_start timestamp, window_end timestamp)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 5 SUPPORT deltaflow.cumulate_support
    AS 'MODULE_PATHNAME', 'deltaflow_cumulate';
COMMENT ON FUNCTION deltaflow.hop(timestamptz, interval, interval, timestamptz) IS 'the hopping windows of a time';
COMMENT ON FUNCTION deltaflow.hop(timestamp, interval, interval, timestamp) IS 'the hopping windows of a time';
COMMENT ON FUNCTION deltaflow.cumulate(timestamptz, interval, interval, timestamptz) IS 'the cumulative windows of a time';
COMMENT ON FUNCTION deltaflow.cumulate(timestamp, interval, interval, timestamp) IS 'the cumulative windows of a time';

-- The session of each row, [first, last + gap): rows of a partition without a pause of
-- gap or more between them.  OVER (PARTITION BY ... ORDER BY ts).
CREATE FUNCTION deltaflow.session(ts timestamptz, gap interval) RETURNS tstzrange
    LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_session_tstz';
CREATE FUNCTION deltaflow.session(ts timestamp, gap interval) RETURNS tsrange
    LANGUAGE c WINDOW IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_session_ts';
COMMENT ON FUNCTION deltaflow.session(timestamptz, interval) IS 'the session of a row: OVER (PARTITION BY ... ORDER BY ts)';
COMMENT ON FUNCTION deltaflow.session(timestamp, interval) IS 'the session of a row: OVER (PARTITION BY ... ORDER BY ts)';

-- The range of a session whose rows go from first_time to last_time.
CREATE FUNCTION deltaflow.session_range(first_time timestamptz, last_time timestamptz, gap interval) RETURNS tstzrange
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_session_range_tstz';
CREATE FUNCTION deltaflow.session_range(first_time timestamp, last_time timestamp, gap interval) RETURNS tsrange
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_session_range_ts';

-- Numbers drawn with characters, for psql: a character per value from 0 (or the least,
-- when that is negative) to the greatest, or from low to high; and a bar per row.
CREATE FUNCTION deltaflow.sparkline_add(state internal, value double precision) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_sparkline_add';
CREATE FUNCTION deltaflow.sparkline_add(state internal, value double precision, low double precision, high double precision) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'deltaflow_sparkline_add';
CREATE FUNCTION deltaflow.sparkline_draw(state internal) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'deltaflow_sparkline_draw';
CREATE AGGREGATE deltaflow.sparkline(value double precision) (
    SFUNC = deltaflow.sparkline_add, STYPE = internal, FINALFUNC = deltaflow.sparkline_draw, PARALLEL = RESTRICTED);
CREATE AGGREGATE deltaflow.sparkline(value double precision, low double precision, high double precision) (
    SFUNC = deltaflow.sparkline_add, STYPE = internal, FINALFUNC = deltaflow.sparkline_draw, PARALLEL = RESTRICTED);
COMMENT ON AGGREGATE deltaflow.sparkline(double precision) IS 'the values as a line of small bars: sparkline(n ORDER BY window_start)';
COMMENT ON AGGREGATE deltaflow.sparkline(double precision, double precision, double precision) IS 'the values as a line of small bars, on the scale from low to high';
CREATE FUNCTION deltaflow.bar(value double precision, largest double precision, width integer DEFAULT 30) RETURNS text
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'deltaflow_bar';
COMMENT ON FUNCTION deltaflow.bar(double precision, double precision, integer) IS 'a bar that is width characters long for the largest value';
