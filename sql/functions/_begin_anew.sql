-- Called by _alter alone: makes every row pending, at once whatever the size of the table.
--
-- Vectors go, with what was derived from them and what is known of their index; p_keeps_chunks lets old
-- chunks serve until new ones are there.
CREATE OR REPLACE FUNCTION rowvec._begin_anew(p_definition rowvec.embedding, p_keeps_chunks boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $function$
DECLARE
    v_derived regclass;
BEGIN
    -- New columns are empty without a row being written, and the index on the old one goes with it.
    IF p_definition.destination = 'column' THEN
        EXECUTE format('ALTER TABLE %s DROP COLUMN %I', p_definition.source, p_definition.name);
    END IF;
    EXECUTE format('ALTER TABLE %s DROP COLUMN %I', p_definition.source, p_definition.name || '_of');
    PERFORM rowvec._add_columns(
        p_definition.source, p_definition.name, p_definition.dimensions, p_definition.destination);
    DELETE FROM rowvec.failure WHERE embedding_id = p_definition.id;
    IF p_keeps_chunks THEN
        RETURN;
    END IF;

    FOR v_derived IN
        SELECT c.oid
        FROM rowvec.derived AS d JOIN pg_class AS c ON c.oid = rowvec._derived(d.embedding_id, d.kind)
        WHERE d.embedding_id = p_definition.id AND c.relkind = 'r'
    LOOP
        EXECUTE format('TRUNCATE %s', v_derived);
    END LOOP;
    DELETE FROM rowvec.truncation WHERE embedding_id = p_definition.id;
    UPDATE rowvec.embedding
    SET index_name = NULL, index_kind = NULL, index_is_graph = NULL, index_storage = NULL,
        index_lists = NULL, index_rows = NULL, setting_name = NULL, setting = NULL,
        setting_most = NULL, rescore = NULL, recall = NULL, measured_at = NULL,
        adopted_before = NULL
    WHERE id = p_definition.id;
EXCEPTION
    WHEN lock_not_available THEN
        RAISE EXCEPTION USING ERRCODE = '55P03',
            MESSAGE = format('%s is in use by a transaction that does not end: nothing was changed',
                p_definition.source),
            HINT = 'try again when it has ended';
    WHEN dependent_objects_still_exist THEN
        RAISE EXCEPTION USING ERRCODE = '2BP01',
            MESSAGE = format('other objects need the columns of embedding "%s" of %s: nothing was changed',
                p_definition.name, p_definition.source),
            DETAIL = SQLERRM,
            HINT = 'create another embedding beside it (name => ...), or drop those first';
END
$function$;
