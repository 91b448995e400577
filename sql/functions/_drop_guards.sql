-- Called by drop_embedding and _alter: the functions of _guard that nothing of an embedding needs any more.
CREATE OR REPLACE FUNCTION rowvec._drop_guards(p_embedding_id bigint, p_kept jsonb DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'rowvec_inputs'::regnamespace
            AND proname ~ format('^(input|filter|error)_%s_\d+$', p_embedding_id)
            AND substring(p_kept ->> 'error' FROM '\d+_\d+') IS DISTINCT FROM substring(proname FROM '\d+_\d+')
    LOOP
        BEGIN
            EXECUTE format('DROP FUNCTION %s', v_function);
        EXCEPTION WHEN dependent_objects_still_exist THEN
            NULL;  -- an index on words is still on it
        END;
    END LOOP;
END
$function$;
