-- Called by _search and _run_search: sets parameters, names and values by turns, and gives what they were.
--
-- Its answer puts them back. An error does so by itself: it ends the (sub)transaction that they are
-- local to.
CREATE OR REPLACE FUNCTION rowvec._exchange_settings(p_settings text[])
RETURNS text[]
-- No setting of its own: every search calls it twice.
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    v_before text[] := p_settings;
    v_ignored text;
BEGIN
    FOR i IN 1..pg_catalog.cardinality(p_settings) BY 2 LOOP
        v_before[i + 1] := pg_catalog.current_setting(p_settings[i]);
        v_ignored := pg_catalog.set_config(p_settings[i], p_settings[i + 1], true);
    END LOOP;
    RETURN v_before;
END
$function$;
