-- The table that was made from an embedding; no row where none was.
SELECT n.nspname AS schema, c.relname AS "table"
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = rowvec._derived(%(id)s, %(kind)s);
