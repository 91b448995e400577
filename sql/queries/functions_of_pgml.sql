-- Our functions in the schema pgml, by signature: those that rowvec_user may call, and the owner's.
SELECT p.oid::regprocedure::text
FROM pg_proc AS p
WHERE p.pronamespace = to_regnamespace('pgml')
    AND (
        p.proname IN ('embed', 'rank', 'chunk')
        AND has_function_privilege('rowvec_user', p.oid, 'EXECUTE')
        OR p.proname = 'load_dataset' AND strpos(p.prosrc, 'rowvec._call(') > 0
    )
ORDER BY 1;
