-- Called by the jobs: the worker's address, and the user and password that the database shows it.
--
-- Only the mapped role may see the mapping's options.
CREATE OR REPLACE FUNCTION rowvec._worker_entry(OUT server jsonb, OUT mapping jsonb)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT (SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(s.srvoptions)),
        (SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(m.umoptions))
    FROM pg_foreign_server AS s
    LEFT JOIN pg_user_mappings AS m ON m.srvid = s.oid AND m.usename = 'rowvec_caller'
    WHERE s.srvname = 'rowvec_worker'
$function$;
