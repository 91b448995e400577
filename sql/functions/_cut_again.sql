-- Called by alter_embedding alone: makes every row pending at once, while its old chunks serve on.
CREATE OR REPLACE FUNCTION rowvec._cut_again(p_definition rowvec.embedding)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $function$
BEGIN
    -- A new column is empty without a row being written.
    EXECUTE format('ALTER TABLE %s DROP COLUMN %I', p_definition.source, p_definition.name || '_of');
    EXECUTE format('ALTER TABLE %s ADD COLUMN %I bigint', p_definition.source, p_definition.name || '_of');
    DELETE FROM rowvec.failure WHERE embedding_id = p_definition.id;
EXCEPTION
    WHEN lock_not_available THEN
        RAISE EXCEPTION USING ERRCODE = '55P03',
            MESSAGE = format('%s is in use by a transaction that does not end: nothing was changed',
                p_definition.source),
            HINT = 'try again when it has ended';
    WHEN dependent_objects_still_exist THEN
        RAISE EXCEPTION USING ERRCODE = '2BP01',
            MESSAGE = format('other objects need the column "%s_of" of %s: nothing was changed',
                p_definition.name, p_definition.source),
            DETAIL = SQLERRM,
            HINT = 'create another embedding beside it (name => ...), or drop those first';
END
$function$;
