-- The schemas that vector and dblink live in, as they are written in SQL.
SELECT e.extname, quote_ident(n.nspname)
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname IN ('vector', 'dblink');
