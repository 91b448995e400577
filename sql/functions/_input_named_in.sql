-- Called by _embed_apart and _embed_keyed: the number of the input that the detail of an error of ours names.
CREATE OR REPLACE FUNCTION rowvec._input_named_in(p_detail text)
RETURNS int
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    -- Cast here: the value returned would be cast outside this block, and its error not caught.
    RETURN (p_detail::jsonb ->> 'input')::int;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;  -- the detail of another error is no JSON, or JSON of its own
END
$function$;
