-- Called by the jobs at their end: deletes failures and truncations of rows that no longer exist.
CREATE OR REPLACE FUNCTION rowvec._forget_gone(p_embedding_id bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_keys jsonb[];
BEGIN
    SELECT array_agg(key) INTO v_keys
    FROM (
        SELECT key FROM rowvec.failure WHERE embedding_id = p_embedding_id
        UNION SELECT key FROM rowvec.truncation WHERE embedding_id = p_embedding_id
    ) AS remembered;
    IF v_keys IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT array_agg(g) FROM rowvec_jobs.gone_%s($1) AS g', p_embedding_id)
    INTO v_keys USING v_keys;
    PERFORM rowvec._refuse_other_path();
    DELETE FROM rowvec.failure WHERE embedding_id = p_embedding_id AND key = ANY (v_keys);
    DELETE FROM rowvec.truncation WHERE embedding_id = p_embedding_id AND key = ANY (v_keys);
END
$function$;
