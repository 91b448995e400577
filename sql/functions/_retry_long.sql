-- Called by alter_embedding alone: another policy for texts that are too long makes the rows that it is about pending.
CREATE OR REPLACE FUNCTION rowvec._retry_long(p_definition rowvec.embedding)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_long record;
BEGIN
    -- Long ones under "error" have failed, under any other policy they are listed as truncated.
    DELETE FROM rowvec.failure WHERE embedding_id = p_definition.id AND sqlstate = '22001';
    FOR v_long IN
        DELETE FROM rowvec.truncation WHERE embedding_id = p_definition.id RETURNING key, input_hash
    LOOP
        EXECUTE format('UPDATE %s SET %I = NULL WHERE %s AND %2$I = $1', p_definition.source,
            p_definition.name || '_of', rowvec._key_compare(p_definition.source, '=', v_long.key))
        USING v_long.input_hash;
    END LOOP;
END
$function$;
