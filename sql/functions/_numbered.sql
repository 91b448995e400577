-- Called by create_embedding, alter_embedding and _follow_columns: columns of a table with their numbers.
CREATE OR REPLACE FUNCTION rowvec._numbered(p_source regclass, p_columns text[])
RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT coalesce(jsonb_object_agg(attname, attnum), '{}')
    FROM pg_attribute
    WHERE attrelid = p_source AND attname = ANY (p_columns) AND NOT attisdropped
$function$;
