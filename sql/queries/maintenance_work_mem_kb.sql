-- Memory that building an index may take in this session.
SELECT setting FROM pg_settings WHERE name = 'maintenance_work_mem';
