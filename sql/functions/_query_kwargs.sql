-- Called by _embed_query and _farthest: the kwargs of a query in the space of an embedding.
CREATE OR REPLACE FUNCTION rowvec._query_kwargs(p_definition rowvec.embedding)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- What the definition says about prompts is about documents.
    SELECT p_definition.kwargs - ARRAY['prompt', 'prompt_name', 'instruction']
        || '{"input_type": "query"}'
$function$;
