-- Called by backfill alone: embeds the texts of some rows and writes where the text is still the same.
CREATE OR REPLACE FUNCTION rowvec._backfill_write(
    p_definition rowvec.embedding, p_keys jsonb[], p_inputs text[], p_hashes bigint[],
    OUT written bigint, OUT failed bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row record;
    v_count bigint;
BEGIN
    written := 0;
    failed := 0;
    FOR v_row IN
        SELECT p_keys[i] AS key, p_hashes[i] AS hash, a.*
        FROM ROWS FROM (
            rowvec._embed_apart(
                p_definition.model, p_inputs,
                rowvec._document_kwargs(p_definition.kwargs, p_definition.on_truncate))
        ) WITH ORDINALITY AS a(embedding, code, message, i)
    LOOP
        IF v_row.code IS NOT NULL THEN
            INSERT INTO rowvec.failure AS f (embedding_id, key, input_hash, sqlstate, message)
            VALUES (p_definition.id, v_row.key, v_row.hash, v_row.code, v_row.message)
            ON CONFLICT (embedding_id, key) DO UPDATE SET
                input_hash = excluded.input_hash,
                sqlstate = excluded.sqlstate,
                message = excluded.message,
                attempts = CASE WHEN f.input_hash = excluded.input_hash THEN f.attempts + 1 ELSE 1 END,
                first_failed_at = CASE WHEN f.input_hash = excluded.input_hash
                    THEN f.first_failed_at ELSE now() END,
                last_failed_at = now();
            failed := failed + 1;
            CONTINUE;
        END IF;
        -- The guard: still pending, and still the text that was embedded.
        EXECUTE format(
            'UPDATE %1$s SET %2$I = $1::@extschema:vector@.vector, %3$I = $2 WHERE %4$s AND (%5$s) '
            'AND pg_catalog.hashtextextended((%6$s), 0) IS NOT DISTINCT FROM $2',
            p_definition.source, p_definition.name, p_definition.name || '_of',
            rowvec._key_compare(p_definition.source, '=', v_row.key),
            rowvec._pending(p_definition.id), p_definition.input)
        USING v_row.embedding, v_row.hash;
        GET DIAGNOSTICS v_count = ROW_COUNT;
        written := written + v_count;
    END LOOP;
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
