-- Called by backfill alone: embeds the texts of some rows and writes where the text is still the same.
CREATE OR REPLACE FUNCTION rowvec._backfill_write(
    p_definition rowvec.embedding, p_keys jsonb[], p_row_keys text[], p_inputs text[], p_hashes bigint[],
    p_kept boolean[], p_errors text[], OUT written bigint, OUT failed bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_inputs text[];
    v_row record;
    v_filled int[];
    v_kept int[];
    v_vectors text[];
    v_done record;
BEGIN
    written := 0;
    failed := 0;
    SELECT array_agg(CASE WHEN NOT u.kept THEN u.t END ORDER BY u.i) INTO v_inputs
    FROM unnest(p_inputs, p_kept) WITH ORDINALITY AS u(t, kept, i);
    FOR v_row IN
        SELECT i, p_kept[i] AS kept, a.*
        FROM ROWS FROM (
            rowvec._embed_apart(
                p_definition.model, v_inputs,
                rowvec._document_kwargs(p_definition.kwargs, p_definition.on_truncate),
                p_definition.modality)
        ) WITH ORDINALITY AS a(embedding, code, message, i)
    LOOP
        IF p_errors[v_row.i] IS NOT NULL THEN
            PERFORM rowvec._record_refusal(
                p_definition.id, p_keys[v_row.i], p_hashes[v_row.i], p_errors[v_row.i], NULL, true);
            failed := failed + 1;
        ELSIF v_row.code IS NOT NULL THEN
            PERFORM rowvec._record_failure(
                p_definition.id, p_keys[v_row.i], p_hashes[v_row.i], v_row.code, v_row.message);
            failed := failed + 1;
        ELSIF v_row.kept THEN
            v_kept := v_kept || v_row.i::int;
        ELSE
            v_filled := v_filled || v_row.i::int;
            v_vectors := v_vectors || v_row.embedding;
        END IF;
    END LOOP;
    -- As the owner of the source, and where the row is still pending with the text that was embedded, or
    -- that an adopted vector was there for.
    FOR v_done IN
        SELECT w.*
        FROM (VALUES ('write', v_filled, v_vectors), ('keep', v_kept, NULL)) AS v(name, places, vectors)
        CROSS JOIN LATERAL rowvec._write_apart(
            p_definition, v.name,
            ARRAY(SELECT p_keys[u.i] FROM unnest(v.places) WITH ORDINALITY AS u(i, n) ORDER BY u.n),
            ARRAY(SELECT p_row_keys[u.i] FROM unnest(v.places) WITH ORDINALITY AS u(i, n) ORDER BY u.n),
            ARRAY(SELECT p_hashes[u.i] FROM unnest(v.places) WITH ORDINALITY AS u(i, n) ORDER BY u.n),
            v.vectors) AS w
        WHERE v.places IS NOT NULL
    LOOP
        written := written + v_done.written;
        failed := failed + v_done.failed;
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
