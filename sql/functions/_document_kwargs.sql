-- Called by create_embedding, backfill and the jobs: the kwargs under which the rows of an embedding are embedded.
CREATE OR REPLACE FUNCTION rowvec._document_kwargs(p_kwargs jsonb, p_on_truncate text)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- Who names a prefix gets that one and no other.
    SELECT CASE
        WHEN p_kwargs ?| ARRAY['prompt', 'prompt_name', 'instruction', 'input_type'] THEN '{}'
        ELSE '{"input_type": "document"}'
    END::jsonb || p_kwargs
        -- The others are the jobs' business.
        || CASE WHEN p_on_truncate = 'error' THEN '{"on_truncate": "error"}' ELSE '{}' END::jsonb
$function$;
