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
