-- Called by _search and _run_search: sets two parameters, each name before its value, and gives what they were.
--
-- Its answer puts them back: what it was is the first half, as it was given. A parameter without a
-- value is left alone. An error puts them back: it ends the (sub)transaction that they are
-- local to.
CREATE OR REPLACE FUNCTION rowvec._exchange_settings(p_settings text[])
RETURNS text[]
-- Every search calls it twice: it is inlined. The elements are evaluated in their order.
LANGUAGE sql VOLATILE
RETURN ARRAY[
    p_settings[1], pg_catalog.current_setting(p_settings[1], true),
    p_settings[3], pg_catalog.current_setting(p_settings[3], true),
    CASE WHEN p_settings[2] IS NOT NULL THEN
        pg_catalog.set_config(p_settings[1], p_settings[2], true) END,
    CASE WHEN p_settings[4] IS NOT NULL THEN
        pg_catalog.set_config(p_settings[3], p_settings[4], true) END];
