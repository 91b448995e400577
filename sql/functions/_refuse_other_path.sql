-- Called by functions that ran code of a table's owner: what follows must not look for names where that code says.
--
-- A SET in a trigger outlives the function's own; an error takes it back.
CREATE OR REPLACE FUNCTION rowvec._refuse_other_path()
RETURNS void
-- No search_path of its own: it is what the caller's has become.
LANGUAGE plpgsql STABLE
AS $function$
BEGIN
    IF pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) 'pg_catalog, pg_temp' THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = 'a trigger or function of the table changed the search_path of the session',
            HINT = 'let it use SET LOCAL, or a SET clause of its own';
    END IF;
END
$function$;
