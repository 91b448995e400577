-- Called by context and `rowvec ask`: the tokens of a prompt that are left for passages.
CREATE OR REPLACE FUNCTION rowvec._room(
    p_definition rowvec.embedding, p_question text, p_max_tokens int
)
RETURNS int
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_smallest CONSTANT int := 64;
    v_taken int;
BEGIN
    IF p_question IS NULL OR p_max_tokens IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004',
            MESSAGE = 'question and max_tokens must not be NULL';
    ELSIF p_definition.modality <> 'text' THEN
        RAISE EXCEPTION USING ERRCODE = '0A000',
            MESSAGE = 'an embedding of images has no passages to answer from';
    END IF;
    v_taken := rowvec.count_tokens(p_definition.model, rowvec._prompt(p_question, NULL));
    IF p_max_tokens < v_taken + c_smallest THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
            'max_tokens must be at least %s for this question, not %s',
            v_taken + c_smallest, p_max_tokens);
    END IF;
    RETURN p_max_tokens - v_taken;
END
$function$;
