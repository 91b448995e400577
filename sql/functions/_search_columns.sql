-- Called by the functions that build a search: the columns of a source, and which of them are its key.
--
-- A search passes column n on as cn, so that no name of the user's meets one of ours. keys are
-- places in names, in the order of the key. Without p_all no column of an embedding is among them.
CREATE OR REPLACE FUNCTION rowvec._search_columns(
    p_source regclass, p_all boolean, OUT names text[], OUT keys int[]
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    SELECT array_agg(c.name ORDER BY c.place),
        array_agg(c.place ORDER BY k.place) FILTER (WHERE k.place IS NOT NULL)
    INTO STRICT names, keys
    FROM (
        SELECT a.attnum, a.attname::text AS name,
            (row_number() OVER (ORDER BY a.attnum))::int AS place
        FROM pg_attribute AS a
        WHERE a.attrelid = p_source AND a.attnum > 0 AND NOT a.attisdropped
            AND (p_all OR NOT EXISTS (
                SELECT FROM rowvec.embedding AS e
                WHERE e.source = a.attrelid AND a.attname IN (e.name, e.name || '_of')
            ))
    ) AS c
    LEFT JOIN (
        SELECT u.attnum, u.place
        FROM pg_index AS i
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, place)
        WHERE i.indrelid = p_source AND i.indisprimary AND u.place <= i.indnkeyatts
    ) AS k USING (attnum);
    IF keys IS NULL THEN
        PERFORM rowvec._key_columns(p_source);  -- says that there is no primary key
    END IF;
END
$function$;
