-- Called by anybody with the role rowvec_user, and by search: a query in the space of an embedding.
CREATE OR REPLACE FUNCTION rowvec.embed_query(
    source regclass, query text, embedding text DEFAULT NULL
)
RETURNS @extschema:vector@.vector
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_definition CONSTANT rowvec.embedding := rowvec._definition(source, embedding);
BEGIN
    -- What the definition says about prompts is about documents.
    RETURN rowvec.embed(
        v_definition.model, query,
        v_definition.kwargs - ARRAY['prompt', 'prompt_name', 'instruction']
            || '{"input_type": "query"}');
END
$function$;
