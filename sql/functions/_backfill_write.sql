-- Called by backfill alone: embeds the texts of some rows and writes where the text is still the same.
CREATE OR REPLACE FUNCTION rowvec._backfill_write(
    p_definition rowvec.embedding, p_keys jsonb[], p_inputs text[], p_hashes bigint[],
    p_kept boolean[], OUT written bigint, OUT failed bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row record;
    v_count bigint;
    v_inputs text[];
BEGIN
    written := 0;
    failed := 0;
    SELECT array_agg(CASE WHEN NOT u.kept THEN u.t END ORDER BY u.i) INTO v_inputs
    FROM unnest(p_inputs, p_kept) WITH ORDINALITY AS u(t, kept, i);
    FOR v_row IN
        SELECT p_keys[i] AS key, p_hashes[i] AS hash, p_kept[i] AS kept, a.*
        FROM ROWS FROM (
            rowvec._embed_apart(
                p_definition.model, v_inputs,
                rowvec._document_kwargs(p_definition.kwargs, p_definition.on_truncate),
                p_definition.modality)
        ) WITH ORDINALITY AS a(embedding, code, message, i)
    LOOP
        IF v_row.code IS NOT NULL THEN
            PERFORM rowvec._record_failure(
                p_definition.id, v_row.key, v_row.hash, v_row.code, v_row.message);
            failed := failed + 1;
            CONTINUE;
        END IF;
        -- The guard: still pending, and still the text that was embedded, or that an adopted vector
        -- was there for.
        EXECUTE format(
            'UPDATE %1$s SET %2$I = %7$s, %3$I = $2 WHERE %4$s AND (%5$s) '
            'AND pg_catalog.hashtextextended((%6$s), 0) IS NOT DISTINCT FROM $2 AND %8$s',
            p_definition.source, p_definition.name, p_definition.name || '_of',
            rowvec._key_compare(p_definition.source, '=', v_row.key),
            rowvec._pending(p_definition.id), p_definition.input,
            CASE WHEN v_row.kept THEN quote_ident(p_definition.name)
                ELSE '$1::@extschema:vector@.vector' END,
            CASE WHEN v_row.kept THEN rowvec._kept(p_definition.id) ELSE 'true' END)
        USING v_row.embedding, v_row.hash;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        written := written + v_count;
    END LOOP;
    IF p_definition.modality = 'text' AND p_definition.on_truncate = 'truncate' THEN
        PERFORM rowvec._record_truncations(p_definition, p_keys, v_inputs, p_hashes);
    END IF;
    DELETE FROM rowvec.failure AS f
    USING unnest(p_keys) AS k
    WHERE f.embedding_id = p_definition.id AND f.key = k
        AND f.last_failed_at < now();
    -- Locked at the end, and to the commit: a definition that changed meanwhile takes all of it back.
    PERFORM FROM rowvec.embedding AS e
    WHERE e.id = p_definition.id AND e.version = p_definition.version
    FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '40001',
            MESSAGE = 'the embedding was changed or dropped meanwhile',
            HINT = 'CALL rowvec.backfill again';
    END IF;
END
$function$;
