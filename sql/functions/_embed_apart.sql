-- Called by backfill alone: vectors of texts, and for those that cannot be embedded why not.
CREATE OR REPLACE FUNCTION rowvec._embed_apart(
    p_model text, p_inputs text[], p_kwargs jsonb, p_modality text
)
RETURNS TABLE (embedding text, code text, message text)
LANGUAGE plpgsql STABLE ROWS 256
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_count CONSTANT int := cardinality(p_inputs);
    v_half CONSTANT int := v_count / 2;
    v_answers text[];
    v_detail text;
    v_failed int;
    v_code text;
    v_message text;
BEGIN
    IF v_count = 0 THEN
        RETURN;
    END IF;
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
        GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL, v_code = RETURNED_SQLSTATE,
            v_message = MESSAGE_TEXT;
        -- The worker names the text that failed. What is too large together names none, and is
        -- halved until what fails stands alone.
        v_failed := CASE WHEN v_count = 1 THEN 1
            ELSE rowvec._input_named_in(v_detail) END;
    END;
    RETURN QUERY
    SELECT * FROM rowvec._embed_apart(
        p_model, p_inputs[:coalesce(v_failed - 1, v_half)], p_kwargs, p_modality);
    IF v_failed IS NOT NULL THEN
        RETURN QUERY SELECT NULL, v_code, v_message;
    END IF;
    RETURN QUERY
    SELECT * FROM rowvec._embed_apart(
        p_model, p_inputs[coalesce(v_failed, v_half) + 1:], p_kwargs, p_modality);
END
$function$;
