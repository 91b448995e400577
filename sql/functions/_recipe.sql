-- Called by _row_hash and _pending: 32 hex digits that stand for all that decides the vector of a text.
--
-- Two embeddings of one recipe make the same vector of the same text, wherever the row comes from. kwargs
-- have the revision of the model in them.
CREATE OR REPLACE FUNCTION rowvec._recipe(p_definition rowvec.embedding)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT left(encode(sha256(convert_to(jsonb_build_array(
        p_definition.model, p_definition.kwargs, p_definition.modality, p_definition.dimensions,
        p_definition.destination, p_definition.on_truncate, p_definition.chunk)::text, 'UTF8')), 'hex'), 32)
$function$;
