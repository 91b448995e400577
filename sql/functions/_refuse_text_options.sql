-- Called by the searches that have no query in words: refuses the options that need one.
CREATE OR REPLACE FUNCTION rowvec._refuse_text_options(p_options jsonb)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_options ->> 'method' <> 'vector' OR p_options ->> 'rerank' IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'method and rerank are for a query in words, and here is none',
            HINT = 'rowvec.search has one';
    END IF;
END
$function$;
