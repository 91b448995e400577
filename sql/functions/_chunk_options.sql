-- Called by create_embedding alone: how the texts of an embedding are cut, with every choice made.
--
-- The worker's defaults may change, and a definition means what it meant.
CREATE OR REPLACE FUNCTION rowvec._chunk_options(
    p_model text, p_modality text, p_chunk jsonb, p_kwargs jsonb
)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_known CONSTANT text[] := ARRAY['tokens', 'overlap', 'split'];
    v_given CONSTANT jsonb := coalesce(p_chunk, '{}');
    v_tokens int;
    v_overlap int;
    v_key text;
BEGIN
    IF p_modality <> 'text' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'an image cannot be cut into chunks',
            HINT = 'leave destination out: images have one vector each';
    ELSIF jsonb_typeof(v_given) <> 'object' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE =
            format('chunk must be a JSON object, not %s', jsonb_typeof(v_given));
    END IF;
    SELECT k INTO v_key FROM jsonb_object_keys(v_given) AS k WHERE k <> ALL (c_known) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('chunk has no option "%s"', v_key),
            HINT = format('it has: %s', array_to_string(c_known, ', '));
    END IF;
    FOREACH v_key IN ARRAY ARRAY['tokens', 'overlap'] LOOP
        IF v_given ? v_key AND v_given ->> v_key !~ '^[0-9]{1,9}$' THEN
            RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format(
                '%s of chunk must be a whole number, not %s', v_key, v_given -> v_key);
        END IF;
    END LOOP;

    -- Longer ones answer questions worse, whatever the model reads.
    v_tokens := coalesce(
        (v_given ->> 'tokens')::int, least(256, rowvec._max_tokens(p_model)));
    v_overlap := coalesce((v_given ->> 'overlap')::int, v_tokens / 8);
    BEGIN
        -- The worker itself knows what it takes.
        PERFORM rowvec._ask('chunk', p_model, ARRAY['rowvec'], p_kwargs || jsonb_build_object(
            'max_tokens', v_tokens, 'overlap', v_overlap,
            'border', coalesce(v_given ->> 'split', 'paragraph')));
    EXCEPTION WHEN invalid_parameter_value THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the worker cannot cut texts as chunk says',
            DETAIL = SQLERRM,
            HINT = 'the tokens of chunk are its max_tokens, split of chunk is its border';
    END;
    RETURN jsonb_build_object('tokens', v_tokens, 'overlap', v_overlap,
        'split', coalesce(v_given ->> 'split', 'paragraph'));
END
$function$;
