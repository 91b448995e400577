-- Called by verify: rows of a sample, their chunks held against what the model makes of their text now.
--
-- A row is as similar as the least similar of its chunks, and 0 where it is cut elsewhere; rows whose text
-- has no chunks are left out.
CREATE OR REPLACE FUNCTION rowvec._chunk_similarities(
    p_definition rowvec.embedding, p_condition text, p_sample int
)
RETURNS TABLE (key jsonb, similarity float8)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_kwargs CONSTANT jsonb := rowvec._document_kwargs(p_definition.kwargs, 'truncate');
    v_act CONSTANT text := format('SELECT * FROM rowvec_jobs.act_%s($1, $2) '
        'AS s(chunks text[], starts int[], vectors @extschema:vector@.vector[])', p_definition.id);
    v_stored_chunks CONSTANT text := format(
        'SELECT pg_catalog.array_agg(chunk ORDER BY ordinality), '
        'pg_catalog.array_agg(start_char ORDER BY ordinality), '
        'pg_catalog.array_agg(embedding ORDER BY ordinality) FROM %s WHERE %s',
        rowvec._derived(p_definition.id, 'chunks'),
        rowvec._key_is(p_definition.source, '$1[1]::pg_catalog.jsonb'));
    v_row record;
    v_answers text[];
    v_chunks text[];
    v_starts int[];
    v_stored text[];
    v_stored_starts int[];
    v_vectors @extschema:vector@.vector[];
    v_fresh text[];
BEGIN
    FOR v_row IN
        SELECT s.key, s.input FROM rowvec._sample_rows(p_definition, p_condition, p_sample) AS s
    LOOP
        v_answers := rowvec._ask('chunk', p_definition.model, ARRAY[v_row.input],
            v_kwargs || jsonb_build_object(
                'max_tokens', p_definition.chunk -> 'tokens', 'overlap', p_definition.chunk -> 'overlap',
                'border', p_definition.chunk -> 'split'),
            'bulk');
        SELECT array_agg(c.chunk ORDER BY c.ordinality), array_agg(c.start_char ORDER BY c.ordinality)
        INTO v_chunks, v_starts
        FROM unnest(v_answers) AS answer,
            jsonb_to_record(answer::jsonb) AS c(ordinality int, chunk text, start_char int);
        EXECUTE v_act INTO v_stored, v_stored_starts, v_vectors
        USING v_stored_chunks, ARRAY[v_row.key::text];
        PERFORM rowvec._refuse_other_path();
        CONTINUE WHEN v_chunks IS NULL AND v_stored IS NULL;
        key := v_row.key;
        similarity := 0;
        IF v_chunks = v_stored AND v_starts = v_stored_starts THEN
            v_fresh := rowvec._embed_all(p_definition.model, v_chunks, v_kwargs);
            SELECT min(1 - (u.v OPERATOR(@extschema:vector@.<=>) u.f::@extschema:vector@.vector))
            INTO STRICT similarity
            FROM unnest(v_vectors, v_fresh) AS u(v, f);
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;
