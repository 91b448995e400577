-- Called by the functions that build a search: the columns of a source, and its key's among them.
--
-- A search passes column n on as cn, so that no name of the user's meets one of ours. keys are
-- places in names, in the order of the key. Without p_all no column of an embedding is among them.
CREATE OR REPLACE FUNCTION rowvec._search_columns(
    p_source regclass, p_all boolean, OUT names text[], OUT keys int[]
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- Plain lookups: every search makes them, and a join of catalogs would cost as much as it does.
    v_hidden text[] := '{}';
    v_numbers int2[];
    v_key int2[];
BEGIN
    IF NOT p_all THEN
        SELECT coalesce(array_agg(e.name) || array_agg(e.name || '_of'), '{}') INTO v_hidden
        FROM rowvec.embedding AS e
        WHERE e.source = p_source;
    END IF;
    SELECT array_agg(a.attname::text ORDER BY a.attnum), array_agg(a.attnum ORDER BY a.attnum)
    INTO names, v_numbers
    FROM pg_attribute AS a
    WHERE a.attrelid = p_source AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attname <> ALL (v_hidden);
    SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] INTO v_key
    FROM pg_index AS i
    WHERE i.indrelid = p_source AND i.indisprimary;
    IF v_key IS NULL THEN
        PERFORM rowvec._key_columns(p_source);  -- says that there is no primary key
    END IF;
    FOR i IN array_lower(v_key, 1)..array_upper(v_key, 1) LOOP
        keys := keys || array_position(v_numbers, v_key[i]);
    END LOOP;
END
$function$;
