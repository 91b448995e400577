-- Called by _pending, _current, status and the jobs: the SQL of the hash beside a vector that was adopted on trust.
--
-- NULL where the embedding has adopted none. It names the text, so a row that changes is pending like any other.
CREATE OR REPLACE FUNCTION rowvec._adopted_hash(p_definition rowvec.embedding)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE WHEN p_definition.adopted_before IS NOT NULL
        THEN rowvec._row_hash(p_definition, 'adopted ') END
$function$;
