-- Called by _pending and the jobs: the SQL of what the hash column has to hold, were the row's filter true.
--
-- Of chunks, which the row itself does not show, even the absence is proven by a hash: the recipe alone, where
-- the text is NULL.
CREATE OR REPLACE FUNCTION rowvec._wanted_hash(p_definition rowvec.embedding)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE p_definition.destination
        WHEN 'column' THEN rowvec._row_hash(p_definition)
        ELSE format('coalesce(%s, %L::pg_catalog.uuid)',
            rowvec._row_hash(p_definition), rowvec._recipe(p_definition))
    END
$function$;
