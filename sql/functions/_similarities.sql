-- Called by create_embedding and verify: rows of a sample, their vectors held against what the model says now.
CREATE OR REPLACE FUNCTION rowvec._similarities(
    p_definition rowvec.embedding, p_condition text, p_sample int
)
RETURNS TABLE (key jsonb, similarity float8)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- Few enough for one answer of a slow model.
    c_at_once CONSTANT int := 64;
    v_keys jsonb[];
    v_texts text[];
    v_stored @extschema:vector@.vector[];
    v_inputs text[];
    v_fresh text[];
BEGIN
    SELECT array_agg(s.key), array_agg(s.input), array_agg(s.vector) INTO v_keys, v_texts, v_stored
    FROM rowvec._sample_rows(p_definition,
        format('(%s) AND %I IS NOT NULL', p_condition, p_definition.name), p_sample) AS s;
    FOR n IN 1..coalesce(cardinality(v_keys), 0) BY c_at_once LOOP
        v_inputs := v_texts[n:n + c_at_once - 1];
        v_fresh := rowvec._ask(
            CASE p_definition.modality WHEN 'text' THEN 'embed' ELSE 'embed_image' END,
            p_definition.model, v_inputs,
            rowvec._document_kwargs(p_definition.kwargs, 'truncate'), 'bulk');
        IF p_definition.modality = 'text' AND p_definition.on_truncate = 'mean' THEN
            v_fresh := rowvec._with_means(p_definition, v_inputs, v_fresh);
        END IF;
        RETURN QUERY
        SELECT u.k, 1 - (u.v OPERATOR(@extschema:vector@.<=>) u.f::@extschema:vector@.vector)
        FROM unnest(v_keys[n:n + c_at_once - 1], v_stored[n:n + c_at_once - 1], v_fresh)
            AS u(k, v, f);
    END LOOP;
END
$function$;
