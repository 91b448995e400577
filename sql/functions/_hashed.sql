-- Called by whatever compares hashes: the SQL expression of the text that is hashed of a row.
--
-- That is the input, or where it raises an error something that no vector is ever of. Takes what _as_read gives.
CREATE OR REPLACE FUNCTION rowvec._hashed(p_definition rowvec.embedding)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN p_definition.guarded IS NULL THEN p_definition.input
        ELSE format('coalesce(%s, ''rowvec: '' OPERATOR(pg_catalog.||) %s)',
            p_definition.input, p_definition.guarded ->> 'error') END
$function$;
