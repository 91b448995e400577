-- Run by `rowvec doctor`: what it has to know of the server, the database and the user.
SELECT current_user::pg_catalog.text AS "user",
       pg_catalog.current_database()::pg_catalog.text AS database,
       pg_catalog.current_setting('server_version') AS server_version,
       pg_catalog.current_setting('server_version_num')::int AS server_version_num,
       pg_catalog.current_setting('server_encoding') AS encoding,
       pg_catalog.pg_is_in_recovery() AS is_standby,
       pg_catalog.pg_database_size(pg_catalog.current_database()) AS bytes,
       pg_catalog.current_setting('max_connections')::int OPERATOR(pg_catalog.-) (
           SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity
           WHERE backend_type OPERATOR(pg_catalog.=) 'client backend'
       )::int AS free_connections,
       vector.extversion AS vector_version,
       vector.extnamespace::pg_catalog.regnamespace::pg_catalog.text AS vector_schema,
       vector.extnamespace::pg_catalog.regnamespace::pg_catalog.text
           OPERATOR(pg_catalog.=) ANY (pg_catalog.current_schemas(true)::pg_catalog.text[]) AS vector_is_on_path,
       dblink.extnamespace::pg_catalog.regnamespace::pg_catalog.text AS dblink_schema,
       ours.nspname IS NOT NULL AS is_installed,
       pg_catalog.pg_get_userbyid(ours.nspowner)::pg_catalog.text AS owner,
       coalesce(pg_catalog.has_schema_privilege(ours.oid, 'USAGE'), false) AS is_user,
       coalesce(pg_catalog.pg_has_role(ours.nspowner, 'USAGE'), false) AS is_owner
FROM (VALUES (1)) AS one (row)
LEFT JOIN pg_catalog.pg_extension AS vector ON vector.extname OPERATOR(pg_catalog.=) 'vector'
LEFT JOIN pg_catalog.pg_extension AS dblink ON dblink.extname OPERATOR(pg_catalog.=) 'dblink'
LEFT JOIN pg_catalog.pg_namespace AS ours ON ours.nspname OPERATOR(pg_catalog.=) 'rowvec';
