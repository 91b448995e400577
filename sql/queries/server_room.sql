-- What a job will need of the server: connections that are free, and where its disk is, if we may know.
SELECT current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int
       - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int
           AS connections,
       CASE WHEN pg_has_role('pg_read_all_settings', 'MEMBER')
           THEN current_setting('data_directory') END AS data_directory,
       inet_server_addr() IS NULL AS is_local;
