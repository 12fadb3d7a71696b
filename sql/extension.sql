-- The extension installs, lists what it made, and goes without a trace.
CREATE EXTENSION deltaflow;
SELECT extversion FROM pg_extension WHERE extname = 'deltaflow';
-- every table of ours has a primary key (publications of all tables need one)
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'deltaflow'::regnamespace AND c.relkind = 'r'
  AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary);
-- and every table and sequence of ours is dumped with its contents
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'deltaflow'::regnamespace AND c.relkind IN ('r', 'S')
  AND NOT c.oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'deltaflow');
-- nobody but the owner writes them
SELECT c.relname FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'deltaflow'::regnamespace AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
  AND a.grantee <> c.relowner;
-- functions that run as their owner pin their search path
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'deltaflow'::regnamespace AND p.prosecdef
  AND NOT coalesce(p.proconfig::text LIKE '%search_path=pg_catalog%', false);
DROP EXTENSION deltaflow;
SELECT count(*) FROM pg_class WHERE relnamespace = 'deltaflow'::regnamespace;
