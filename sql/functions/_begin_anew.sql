-- Called by _alter alone: takes all vectors away, at once whatever the size of the table.
--
-- With them go what was derived from them and what is known of their index.
CREATE OR REPLACE FUNCTION rowvec._begin_anew(p_definition rowvec.embedding)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $function$
DECLARE
    v_derived regclass;
BEGIN
    -- A new column is empty without a row being written, and the index on the old one goes with it. The
    -- hashes stay: they are of another recipe.
    IF p_definition.destination = 'column' THEN
        EXECUTE format('ALTER TABLE %s DROP COLUMN %I', p_definition.source, p_definition.name);
        PERFORM rowvec._add_columns(p_definition.source, p_definition.name, p_definition.dimensions);
    END IF;
    -- Hashes of another recipe need no mark that the chunks are gone.
    PERFORM set_config('rowvec.settles', 'on', true);
    FOR v_derived IN
        SELECT c.oid
        FROM rowvec.derived AS d JOIN pg_class AS c ON c.oid = rowvec._derived(d.embedding_id, d.kind)
        WHERE d.embedding_id = p_definition.id AND c.relkind = 'r'
    LOOP
        EXECUTE format('TRUNCATE %s', v_derived);
    END LOOP;
    PERFORM set_config('rowvec.settles', '', true);
    UPDATE rowvec.embedding
    SET index_name = NULL, index_kind = NULL, index_is_graph = NULL, index_storage = NULL,
        index_lists = NULL, index_rows = NULL, setting_name = NULL, setting = NULL,
        setting_most = NULL, rescore = NULL, recall = NULL, measured_at = NULL
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
