-- Run by the command line when a table is not there: the tables that a mistyped name may mean.
SELECT c.oid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,f,m,v}')
  AND n.nspname OPERATOR(pg_catalog.<>) ALL ('{information_schema,rowvec,rowvec_jobs,rowvec_inputs}')
  AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_')
ORDER BY c.relkind, 1
LIMIT 10000;
