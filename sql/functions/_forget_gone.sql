-- Called by the jobs at their end: forgets failures and truncations of rows that are there no more.
CREATE OR REPLACE FUNCTION rowvec._forget_gone(p_embedding_id bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_source CONSTANT regclass := (SELECT source FROM rowvec.embedding WHERE id = p_embedding_id);
    v_kept text;
BEGIN
    FOREACH v_kept IN ARRAY ARRAY['failure', 'truncation'] LOOP
        EXECUTE format(
            'DELETE FROM rowvec.%I AS rowvec_kept WHERE rowvec_kept.embedding_id = %s '
            'AND NOT EXISTS (SELECT FROM %s WHERE %s)',
            v_kept, p_embedding_id, v_source, rowvec._key_is(v_source, 'rowvec_kept.key'));
    END LOOP;
END
$function$;
