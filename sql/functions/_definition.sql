-- Called by search, similar, embed_query, backfill, drop_embedding and the jobs: the one definition meant.
CREATE OR REPLACE FUNCTION rowvec._definition(p_source regclass, p_embedding text)
RETURNS rowvec.embedding
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_found rowvec.embedding;
    v_count int := 0;
    v_names text[];
    v_id bigint;
BEGIN
    IF p_source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'source must not be NULL';
    END IF;
    -- By one lookup where all is well: a search begins with it.
    FOR v_found IN
        SELECT * FROM rowvec.embedding
        WHERE source = p_source AND (p_embedding IS NULL OR name = p_embedding)
        LIMIT 2
    LOOP
        v_count := v_count + 1;
    END LOOP;
    IF v_count = 1 THEN
        IF v_found.guarded IS NOT NULL THEN
            v_found := rowvec._as_read(v_found);
        END IF;
        RETURN v_found;
    END IF;
    -- One of a table that was dropped may have the number of another by now.
    SELECT array_agg(e.name ORDER BY e.name), min(e.id) INTO v_names, v_id
    FROM rowvec.embedding AS e
    WHERE e.source = p_source AND (v_count < 2 OR rowvec._is_source(e));
    IF v_count > 1 AND cardinality(v_names) = 1 THEN
        SELECT r.* INTO STRICT v_found
        FROM rowvec.embedding AS e CROSS JOIN LATERAL rowvec._as_read(e) AS r
        WHERE e.id = v_id;
        RETURN v_found;
    END IF;
    IF v_names IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01',
            MESSAGE = format('%s has no embedding', p_source),
            HINT = 'rowvec.create_embedding makes one';
    ELSIF p_embedding IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01',
            MESSAGE = format('%s has no embedding named "%s"', p_source, p_embedding),
            HINT = format('it has: %s', array_to_string(v_names, ', '));
    ELSE
        RAISE EXCEPTION USING ERRCODE = '42P09',
            MESSAGE = format('%s has several embeddings: %s', p_source,
                array_to_string(v_names, ', ')),
            HINT = format('name one: embedding => %L, on the command line --embedding %s',
                v_names[1], v_names[1]);
    END IF;
END
$function$;
