-- Called by the owner of a table: forgets an embedding and drops what it filled.
--
-- Its columns go, the indexes on them, and the tables that were made from it (clusters and their like).
-- keep_columns keeps the vectors and their index; the index on pending rows goes, as nothing fills it.
-- Of several embeddings none is dropped without its name, the default neither.
CREATE OR REPLACE FUNCTION rowvec.drop_embedding(
    source regclass, embedding text DEFAULT NULL, keep_columns boolean DEFAULT false
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_definition CONSTANT rowvec.embedding := rowvec._definition(source, embedding);
    v_relation regclass;
    v_is_view boolean;
    v_function regprocedure;
    v_names text[];
    v_detail text;
BEGIN
    IF embedding IS NULL THEN
        SELECT array_agg(e.name ORDER BY e.name) INTO v_names
        FROM rowvec.embedding AS e WHERE e.source = v_definition.source;
        IF cardinality(v_names) > 1 THEN
            RAISE EXCEPTION USING ERRCODE = '42P09',
                MESSAGE = format('%s has several embeddings: %s', v_definition.source,
                    array_to_string(v_names, ', ')),
                HINT = format('name the one to drop: embedding => %L', v_names[1]);
        END IF;
    END IF;
    FOR v_relation, v_is_view IN
        SELECT c.oid, c.relkind = 'v'
        FROM rowvec.derived AS d JOIN pg_class AS c ON c.oid = rowvec._derived(d.embedding_id, d.kind)
        WHERE d.embedding_id = v_definition.id
        ORDER BY c.relkind = 'v' DESC
    LOOP
        EXECUTE format('DROP %s %s', CASE WHEN v_is_view THEN 'VIEW' ELSE 'TABLE' END, v_relation);
    END LOOP;
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'rowvec_jobs'::regnamespace AND proname LIKE '%\_' || v_definition.id
    LOOP
        EXECUTE format('DROP FUNCTION %s', v_function);
    END LOOP;
    DELETE FROM rowvec.embedding AS e WHERE e.id = v_definition.id;
    PERFORM rowvec._drop_pending_index(v_definition);
    -- Of a table that was dropped the number is left: drop_embedding('16423').
    IF NOT keep_columns AND rowvec._is_source(v_definition) THEN
        EXECUTE format('ALTER TABLE %s DROP COLUMN IF EXISTS %I, DROP COLUMN IF EXISTS %I',
            v_definition.source, v_definition.name, v_definition.name || '_of');
    END IF;
    PERFORM rowvec._drop_guards(v_definition.id);
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION USING ERRCODE = '2BP01',
        MESSAGE = format('other objects need what the embedding "%s" of %s filled: nothing was changed',
            v_definition.name, v_definition.source),
        DETAIL = v_detail,
        HINT = 'drop those first, or keep the columns: keep_columns => true';
END
$function$;
