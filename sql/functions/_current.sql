-- Called by search and similar_pairs: the SQL condition of a row whose vector is proven to be of its text.
CREATE OR REPLACE FUNCTION rowvec._current(p_definition rowvec.embedding)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT concat('NOT (', rowvec._pending(p_definition.id), ')',
        format(' AND %I IS DISTINCT FROM ', p_definition.name || '_of')
            || rowvec._adopted_hash(rowvec._as_read(p_definition)))
$function$;
