-- The worker's address and, for whoever may see it, its user and password.
SELECT (SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(s.srvoptions))
           AS server,
       (SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(m.umoptions))
           AS mapping
FROM pg_foreign_server AS s
LEFT JOIN pg_user_mappings AS m ON m.srvid = s.oid AND m.usename = 'rowvec_caller'
WHERE s.srvname = 'rowvec_worker';
