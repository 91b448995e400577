-- Run by the command line when a table is not there: the tables that a mistyped name may mean.
SELECT c.oid::regclass::text
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'm', 'v')
  AND n.nspname NOT IN ('information_schema', 'rowvec', 'rowvec_jobs', 'rowvec_inputs')
  AND n.nspname NOT LIKE 'pg\_%%'
ORDER BY c.relkind, 1
LIMIT 10000;
