-- Called by _prepare_jobs alone: the keys of derived tables become what that of the source is by now, in name and type.
CREATE OR REPLACE FUNCTION rowvec._follow_key(p_embedding_id bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $function$
DECLARE
    v_rows CONSTANT regclass := rowvec._derived(p_embedding_id, 'rows');
    v_column record;
BEGIN
    -- It shows the key of the chunks, which could not change under it.
    IF v_rows IS NOT NULL THEN
        EXECUTE format('DROP VIEW %s', v_rows);
    END IF;
    FOR v_column IN
        SELECT t.relation, k.*
        FROM rowvec.embedding AS e
        JOIN rowvec.derived AS d ON d.embedding_id = e.id AND d.kind <> 'rows'
        CROSS JOIN LATERAL rowvec._derived(e.id, d.kind) AS t(relation)
        CROSS JOIN LATERAL rowvec._key_of_derived(t.relation, e.source) AS k
        WHERE e.id = p_embedding_id
    LOOP
        IF v_column.name <> v_column.source_name THEN
            EXECUTE format('ALTER TABLE %s RENAME %I TO %I', v_column.relation, v_column.name,
                v_column.source_name);
        END IF;
        EXECUTE format('ALTER TABLE %s ALTER %I TYPE %s', v_column.relation, v_column.source_name,
            v_column.source_type);
    END LOOP;
    IF rowvec._derived(p_embedding_id, 'chunks') IS NOT NULL THEN
        PERFORM rowvec._create_chunk_rows(p_embedding_id);
    END IF;
END
$function$;
