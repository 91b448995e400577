-- Run by `rowvec doctor`: what it has to know of the server, the database and the user.
SELECT current_user::text AS "user",
       current_database()::text AS database,
       current_setting('server_version') AS server_version,
       current_setting('server_version_num')::int AS server_version_num,
       current_setting('server_encoding') AS encoding,
       pg_is_in_recovery() AS is_standby,
       pg_database_size(current_database()) AS bytes,
       current_setting('max_connections')::int
           - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS free_connections,
       vector.extversion AS vector_version,
       vector.extnamespace::regnamespace::text AS vector_schema,
       vector.extnamespace::regnamespace::text = ANY (current_schemas(true)::text[]) AS vector_is_on_path,
       dblink.extnamespace::regnamespace::text AS dblink_schema,
       ours.nspname IS NOT NULL AS is_installed,
       pg_get_userbyid(ours.nspowner)::text AS owner,
       coalesce(has_schema_privilege(ours.oid, 'USAGE'), false) AS is_user,
       coalesce(pg_has_role(ours.nspowner, 'USAGE'), false) AS is_owner
FROM (VALUES (1)) AS one (row)
LEFT JOIN pg_extension AS vector ON vector.extname = 'vector'
LEFT JOIN pg_extension AS dblink ON dblink.extname = 'dblink'
LEFT JOIN pg_namespace AS ours ON ours.nspname = 'rowvec';
