-- Called by alter_embedding alone: another policy for texts that are too long makes the rows that it is about pending.
CREATE OR REPLACE FUNCTION rowvec._retry_long(p_definition rowvec.embedding)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_keys jsonb[];
    v_hashes bigint[];
BEGIN
    -- Long ones under "error" have failed, under any other policy they are listed as truncated.
    DELETE FROM rowvec.failure WHERE embedding_id = p_definition.id AND sqlstate = '22001';
    WITH long AS (
        DELETE FROM rowvec.truncation WHERE embedding_id = p_definition.id RETURNING key, input_hash
    )
    SELECT array_agg(key), array_agg(input_hash) INTO v_keys, v_hashes FROM long;
    IF v_keys IS NOT NULL THEN
        EXECUTE format('SELECT rowvec_jobs.retry_%s($1, $2)', p_definition.id) USING v_keys, v_hashes;
        PERFORM rowvec._refuse_other_path();
    END IF;
END
$function$;
