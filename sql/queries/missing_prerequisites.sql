-- What migrate needs and cannot find, one phrase a row; no row means that it may begin.
SELECT 'the extension vector'
WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector')
UNION ALL
SELECT 'the extension dblink'
WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'dblink')
UNION ALL
SELECT format('the role %s', needed)
FROM unnest(ARRAY['rowvec_caller', 'rowvec_user', 'rowvec_job']) AS needed
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = needed)
UNION ALL
SELECT 'USAGE on the schema of dblink for rowvec_caller'
FROM pg_extension
WHERE extname = 'dblink'
    AND NOT has_schema_privilege(to_regrole('rowvec_caller'), extnamespace, 'USAGE')
UNION ALL
-- A dump that somebody else restored without its owners.
SELECT format('the schema %I for %I', nspname, current_user)
FROM pg_namespace
WHERE nspname IN ('rowvec', 'rowvec_jobs') AND NOT pg_has_role(nspowner, 'USAGE')
UNION ALL
SELECT format('membership of %I in rowvec_caller', current_user)
FROM pg_roles
WHERE rolname = 'rowvec_caller' AND NOT pg_has_role(current_user, oid, 'USAGE')
UNION ALL
SELECT format('USAGE on the foreign data wrapper dblink_fdw for %I', current_user)
FROM pg_foreign_data_wrapper
WHERE fdwname = 'dblink_fdw' AND NOT has_foreign_data_wrapper_privilege(oid, 'USAGE')
UNION ALL
SELECT format('CREATE on the database for %I', current_user)
WHERE NOT has_database_privilege(current_database(), 'CREATE');
