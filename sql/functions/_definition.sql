-- Called by search, similar, embed_query, backfill, drop_embedding and the jobs: the one definition meant.
CREATE OR REPLACE FUNCTION rowvec._definition(p_source regclass, p_embedding text)
RETURNS rowvec.embedding
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_found rowvec.embedding;
    v_names text[];
BEGIN
    IF p_source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'source must not be NULL';
    END IF;
    IF p_embedding IS NOT NULL THEN
        SELECT * INTO v_found FROM rowvec.embedding
        WHERE source = p_source AND name = p_embedding;
        IF FOUND THEN
            RETURN v_found;
        END IF;
    END IF;
    SELECT array_agg(name ORDER BY name) INTO v_names FROM rowvec.embedding
    WHERE source = p_source;
    IF v_names IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01',
            MESSAGE = format('%s has no embedding', p_source),
            HINT = 'rowvec.create_embedding makes one';
    ELSIF p_embedding IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01',
            MESSAGE = format('%s has no embedding named "%s"', p_source, p_embedding),
            HINT = format('it has: %s', array_to_string(v_names, ', '));
    ELSIF cardinality(v_names) > 1 THEN
        RAISE EXCEPTION USING ERRCODE = '42P09',
            MESSAGE = format('%s has several embeddings: %s', p_source,
                array_to_string(v_names, ', ')),
            HINT = format('name one: embedding => %L', v_names[1]);
    END IF;
    SELECT * INTO STRICT v_found FROM rowvec.embedding WHERE source = p_source;
    RETURN v_found;
END
$function$;
