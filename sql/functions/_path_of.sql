-- Called by _prepare_jobs alone: the search_path that a session of a role begins with here, pg_temp last.
--
-- Nothing of a session's own may come before what the role means: another owner's code may have left it.
CREATE OR REPLACE FUNCTION rowvec._path_of(p_role oid)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE WHEN path ~ '\mpg_temp\M' THEN path ELSE path || ', pg_temp' END
    FROM (
        SELECT coalesce(
            (
                SELECT substr(entry, length('search_path=') + 1)
                FROM pg_db_role_setting AS s CROSS JOIN unnest(s.setconfig) AS entry
                WHERE s.setrole IN (p_role, 0) AND entry LIKE 'search\_path=%'
                    AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
                ORDER BY s.setrole = 0, s.setdatabase = 0
                LIMIT 1
            ),
            '"$user", public') AS path
    ) AS found
$function$;
