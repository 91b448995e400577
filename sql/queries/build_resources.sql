-- What this server grants a build: memory in kB, processes, and whether its /proc may be read.
SELECT (SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem')
           AS maintenance_kb,
       (SELECT setting::bigint * 8 FROM pg_settings WHERE name = 'effective_cache_size')
           AS cache_kb,
       least(current_setting('max_parallel_workers')::int,
             current_setting('max_worker_processes')::int) AS max_workers,
       current_setting('max_parallel_maintenance_workers')::int AS workers,
       pg_has_role(current_user, 'pg_read_server_files', 'USAGE')
           AND has_function_privilege('pg_read_file(text, bigint, bigint, boolean)', 'EXECUTE')
           AS may_read_files;
