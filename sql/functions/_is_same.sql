-- Called by _check_adopted and `rowvec verify`: whether a cosine says that two vectors are of one model and input.
CREATE OR REPLACE FUNCTION rowvec._is_same(p_similarity float8)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- Another backend or 16-bit weights stay above it; another prompt or model does not reach it.
    SELECT p_similarity >= 0.99 AND p_similarity <> 'NaN'
$function$;
