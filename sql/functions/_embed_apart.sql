-- Called by backfill alone: vectors of texts, and for those that cannot be embedded why not.
CREATE OR REPLACE FUNCTION rowvec._embed_apart(
    p_model text, p_inputs text[], p_kwargs jsonb, p_modality text
)
RETURNS TABLE (embedding text, code text, message text)
LANGUAGE plpgsql STABLE ROWS 256
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_half CONSTANT int := cardinality(p_inputs) / 2;
    v_answers text[];
BEGIN
    IF p_modality = 'image_file' THEN
        RAISE EXCEPTION USING ERRCODE = '0A000',
            MESSAGE = 'the images are files, which the database does not read',
            HINT = 'rowvec backfill SOURCE --image-folder DIR';
    END IF;
    BEGIN
        v_answers := rowvec._ask(
            CASE p_modality WHEN 'image' THEN 'embed_image' ELSE 'embed' END,
            p_model, p_inputs, p_kwargs, 'bulk');
        RETURN QUERY SELECT answer, NULL, NULL FROM unnest(v_answers) AS answer;
        RETURN;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        -- One text alone is the culprit; else it is in one of the halves.
        IF v_half = 0 THEN
            RETURN QUERY SELECT NULL, SQLSTATE, SQLERRM;
            RETURN;
        END IF;
    END;
    RETURN QUERY SELECT * FROM rowvec._embed_apart(p_model, p_inputs[:v_half], p_kwargs, p_modality);
    RETURN QUERY
    SELECT * FROM rowvec._embed_apart(p_model, p_inputs[v_half + 1:], p_kwargs, p_modality);
END
$function$;
