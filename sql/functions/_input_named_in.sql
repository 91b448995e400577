-- Called by _embed_apart and _embed_keyed: the number of the input that the detail of an error of ours names.
CREATE OR REPLACE FUNCTION rowvec._input_named_in(p_detail text)
RETURNS int
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN p_detail::jsonb ->> 'input';
EXCEPTION WHEN data_exception THEN
    RETURN NULL;  -- the detail of another error is no JSON
END
$function$;
