-- Called by whatever reads or writes rows by key, the jobs too: the columns of the primary key, in its order.
CREATE OR REPLACE FUNCTION rowvec._key_columns(p_source regclass)
RETURNS TABLE (name text, type text)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
-- With this path format_type qualifies every type that is not Postgres's own.
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
    FROM pg_index AS i
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = p_source AND i.indisprimary AND k.position <= i.indnkeyatts
    ORDER BY k.position;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '42P16',
            MESSAGE = format('table %s has no primary key', p_source),
            HINT = 'rowvec finds rows by their key: ALTER TABLE ... ADD PRIMARY KEY';
    END IF;
END
$function$;
