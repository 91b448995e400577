-- Called by _with_means and _chunk_similarities: the vectors of any number of texts, as text.
CREATE OR REPLACE FUNCTION rowvec._embed_all(p_model text, p_texts text[], p_kwargs jsonb)
RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- Few enough for one answer of a slow model.
    c_at_once CONSTANT int := 64;
    v_vectors text[] := '{}';
BEGIN
    FOR n IN 1..coalesce(cardinality(p_texts), 0) BY c_at_once LOOP
        v_vectors := v_vectors
            || rowvec._ask('embed', p_model, p_texts[n:n + c_at_once - 1], p_kwargs, 'bulk');
    END LOOP;
    RETURN v_vectors;
END
$function$;
