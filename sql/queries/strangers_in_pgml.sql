-- What keeps the schema pgml from being ours: the extension PostgresML, or functions in it.
SELECT 'the extension pgml'
FROM pg_extension
WHERE extname = 'pgml'
UNION ALL
SELECT format('the function %s', oid::regprocedure)
FROM pg_proc
WHERE pronamespace = to_regnamespace('pgml')
ORDER BY 1
LIMIT 3;
