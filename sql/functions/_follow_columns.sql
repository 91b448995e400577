-- Called by _prepare_jobs alone: input and filter name columns as they are called now; p_renamed is old names and new.
--
-- Postgres rewrites them: as expressions of an index on an empty copy of the table, whose columns are renamed.
CREATE OR REPLACE FUNCTION rowvec._follow_columns(p_embedding_id bigint, p_renamed jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_copy CONSTANT text := 'pg_temp.rowvec_renamed';
    v_definition rowvec.embedding;
    v_old text;
    v_new text;
    v_part text;
    v_expression text;
    v_index regclass;
    v_written jsonb := '{}';
BEGIN
    SELECT * INTO STRICT v_definition FROM rowvec.embedding WHERE id = p_embedding_id;
    EXECUTE format('CREATE TEMPORARY TABLE rowvec_renamed (LIKE %s) ON COMMIT DROP', v_definition.source);
    FOR v_part, v_expression IN
        SELECT 'input', v_definition.input
        UNION ALL SELECT 'filter', v_definition.filter
        UNION ALL SELECT 'text_document', v_definition.text_document
        UNION ALL SELECT 'guarded ' || key, value FROM jsonb_each_text(v_definition.guarded)
    LOOP
        CONTINUE WHEN v_expression IS NULL;
        FOR v_old, v_new IN SELECT key, value FROM jsonb_each_text(p_renamed) LOOP
            EXECUTE format('ALTER TABLE %s RENAME %I TO %I', c_copy, v_new, v_old);
        END LOOP;
        EXECUTE format('CREATE INDEX rowvec_renamed_idx ON %s ((%s))', c_copy, v_expression);
        FOR v_old, v_new IN SELECT key, value FROM jsonb_each_text(p_renamed) LOOP
            EXECUTE format('ALTER TABLE %s RENAME %I TO %I', c_copy, v_old, v_new);
        END LOOP;
        v_index := 'pg_temp.rowvec_renamed_idx'::regclass;
        v_written := v_written || jsonb_build_object(v_part, (
            SELECT coalesce(pg_get_expr(indexprs, indrelid), pg_get_indexdef(indexrelid, 1, false))
            FROM pg_index WHERE indexrelid = v_index));
        EXECUTE format('DROP INDEX %s', v_index);
    END LOOP;
    EXECUTE format('DROP TABLE %s', c_copy);
    UPDATE rowvec.embedding AS e
    SET input = v_written ->> 'input',
        filter = v_written ->> 'filter',
        text_document = v_written ->> 'text_document',
        guarded = CASE WHEN e.guarded IS NOT NULL THEN jsonb_build_object(
            'input', v_written -> 'guarded input', 'filter', v_written -> 'guarded filter',
            'error', v_written -> 'guarded error') END,
        columns = rowvec._numbered(e.source, ARRAY(
            SELECT coalesce(p_renamed ->> k, k) FROM jsonb_object_keys(e.columns) AS k)),
        -- Jobs that run have the old names, and end.
        version = e.version + 1
    WHERE e.id = p_embedding_id;
END
$function$;
