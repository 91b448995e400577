-- Called by embed_rows alone: the vectors of some rows. Where a text fails, the detail names its key too.
CREATE OR REPLACE FUNCTION rowvec._embed_keyed(
    p_model text, p_keys text[], p_texts text[], p_kwargs jsonb
)
RETURNS TABLE (key text, embedding @extschema:vector@.vector)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_code text;
    v_message text;
    v_detail text;
    v_hint text;
    v_failed int;
BEGIN
    BEGIN
        RETURN QUERY SELECT * FROM ROWS FROM (
            unnest(p_keys), rowvec.embed_batch(p_model, p_texts, p_kwargs));
        RETURN;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS v_code = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT,
            v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
        v_failed := rowvec._input_named_in(v_detail);
        IF v_failed IS NULL THEN
            RAISE;
        END IF;
    END;
    RAISE EXCEPTION USING ERRCODE = v_code, MESSAGE = v_message,
        DETAIL = json_build_object('input', v_failed, 'key', p_keys[v_failed]),
        HINT = coalesce(nullif(v_hint, ''), 'the detail has the key of the row');
END
$function$;
