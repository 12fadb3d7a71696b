-- Which conditions choose what a scan fetches: the planner's side, without a broker.
CREATE EXTENSION deltaflow;
SET timezone = 'UTC';
CREATE SERVER broker FOREIGN DATA WRAPPER deltaflow_kafka OPTIONS ("bootstrap.servers" 'localhost:1');
CREATE FOREIGN TABLE t (
    a int, part int OPTIONS (metadata 'partition'), off bigint OPTIONS (metadata 'offset'),
    arrived timestamptz OPTIONS (metadata 'timestamp')
) SERVER broker OPTIONS (topic 'numbers');

-- what EXPLAIN says about offsets
CREATE FUNCTION seek(condition text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT * FROM t WHERE ' || condition LOOP
        IF line ~ 'Seek Cond|Offsets' THEN RETURN NEXT trim(line); END IF;
    END LOOP;
END $$;

SELECT * FROM seek('a = 1');
SELECT * FROM seek('off = 5');
SELECT * FROM seek('off < 5');
SELECT * FROM seek('off <= 5');
SELECT * FROM seek('off > 5');
SELECT * FROM seek('off >= 5');
SELECT * FROM seek('5 > off');
SELECT * FROM seek('off BETWEEN 5 AND 9 AND a = 1');
SELECT * FROM seek('off IN (5, 3, 9)');
SELECT * FROM seek('off = ANY (NULL::bigint[])');
SELECT * FROM seek('off = -1');
SELECT * FROM seek('off > 9223372036854775807');
SELECT * FROM seek('off <= 9223372036854775807');
SELECT * FROM seek('off > 5::int2');
SELECT * FROM seek('off > 9 AND off < 5');
SELECT * FROM seek('part = 1');
SELECT * FROM seek('part IN (0, 2, NULL)');
SELECT * FROM seek('part < 2 AND off > 7');
SELECT * FROM seek('part > 3');
SELECT * FROM seek('part <> 3 AND part BETWEEN 2 AND 7');
SELECT * FROM seek('part = 0 AND off > 7 OR part > 3 AND off > 9 OR part = 5');
SELECT * FROM seek('part > 1 AND off = 5');
SELECT * FROM seek('part = 0 AND off >= 10 OR part = 1 AND off >= 77');
SELECT * FROM seek('part = 0 AND off >= 10 OR part = 1 AND off >= 77 AND a = 1');
SELECT * FROM seek('part = 0 OR a = 1');
SELECT * FROM seek('arrived >= ''2024-01-01 10:00:00.0005+00''');
SELECT * FROM seek('arrived > ''2024-01-01''::date');
SELECT * FROM seek('arrived = ''2024-01-01''::timestamp');
SELECT * FROM seek('arrived < ''2024-01-01''');
SELECT * FROM seek('arrived BETWEEN ''2024-01-01'' AND ''2024-01-02'' AND part = 3');
SELECT * FROM seek('arrived > ''infinity''');
SELECT * FROM seek('arrived > ''-infinity''');
SELECT * FROM seek('arrived > now() - interval ''1 hour''');

-- what says nothing about positions stays a filter
SELECT * FROM seek('off <> 5');
SELECT * FROM seek('off > a');
SELECT * FROM seek('off > random() * 5');
SELECT * FROM seek('off + 1 > 5');
SELECT * FROM seek('off <> ALL (''{1,2}'')');
SELECT * FROM seek('NOT off > 5');
SELECT * FROM seek('off IS NULL');

-- the whole plan
EXPLAIN (COSTS OFF) SELECT count(*) FROM t WHERE off > 5 AND a = 3;
EXPLAIN (COSTS OFF, VERBOSE) SELECT a FROM t WHERE off > 5;
EXPLAIN (COSTS OFF) INSERT INTO t (a) VALUES (1);
CREATE FUNCTION explained(query text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
    RETURN plan->0->'Plan';
END $$;
SELECT plan->>'Topic' AS topic, plan->>'Seek Cond' AS seek_cond, plan->>'Offsets' AS offsets
FROM explained('SELECT a FROM t WHERE part = 1') plan;
PREPARE p(bigint) AS SELECT * FROM t WHERE off > $1;
EXPLAIN (COSTS OFF) EXECUTE p(5);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE p(5);

-- nobody is there
SET deltaflow.broker_timeout = '300 ms';
\set VERBOSITY terse
SELECT * FROM t;
\set VERBOSITY default
