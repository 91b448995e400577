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
