-- Called by search, similar, embed_query, backfill, drop_embedding and the jobs: the one definition meant.
--
-- Without a name it is the default of the source: what set_default_embedding chose, else the first.
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
    -- One lookup where all is well: every search begins with it.
    SELECT * INTO v_found FROM rowvec.embedding
    WHERE source = p_source AND (p_embedding IS NULL OR name = p_embedding)
    ORDER BY is_default DESC, id
    LIMIT 1;
    IF FOUND THEN
        -- One of a table that was dropped may have the number of another by now.
        IF EXISTS (
            SELECT FROM rowvec.embedding
            WHERE source = p_source AND (p_embedding IS NULL OR name = p_embedding) AND id <> v_found.id)
        THEN
            SELECT e.* INTO STRICT v_found FROM rowvec.embedding AS e
            WHERE e.source = p_source AND (p_embedding IS NULL OR e.name = p_embedding)
            ORDER BY rowvec._is_source(e) DESC, e.is_default DESC, e.id
            LIMIT 1;
        END IF;
        IF v_found.guarded IS NOT NULL THEN
            v_found := rowvec._as_read(v_found);
        END IF;
        RETURN v_found;
    END IF;
    SELECT array_agg(name ORDER BY name) INTO v_names FROM rowvec.embedding
    WHERE source = p_source;
    IF v_names IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01',
            MESSAGE = format('%s has no embedding', p_source),
            HINT = 'rowvec.create_embedding makes one';
    END IF;
    RAISE EXCEPTION USING ERRCODE = '42P01',
        MESSAGE = format('%s has no embedding named "%s"', p_source, p_embedding),
        HINT = format('it has: %s', array_to_string(v_names, ', '));
END
$function$;
