-- Called by create_embedding alone: the table for an embedding's chunks, and a view of them beside their rows.
CREATE OR REPLACE FUNCTION rowvec._create_chunks(p_embedding_id bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_definition rowvec.embedding;
    v_table regclass;
    v_keys text;
    v_taken text;
BEGIN
    SELECT * INTO STRICT v_definition FROM rowvec.embedding WHERE id = p_embedding_id;
    SELECT string_agg(format('%I', k.name), ', ' ORDER BY k.position),
        min(k.name) FILTER (WHERE k.name IN
            ('ordinality', 'chunk', 'start_char', 'end_char', 'tokens', 'embedding', 'row'))
    INTO STRICT v_keys, v_taken
    FROM ROWS FROM (rowvec._key_columns(v_definition.source))
        WITH ORDINALITY AS k(name, type, position);
    IF v_taken IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42701',
            MESSAGE = format('the key column "%s" of %s has the name of a column of its chunks',
                v_taken, v_definition.source),
            HINT = 'rename it, or take destination => ''column''';
    END IF;
    v_table := rowvec._create_derived(p_embedding_id, 'chunks', format(
        'ordinality int NOT NULL, chunk text NOT NULL, start_char int NOT NULL, '
        'end_char int NOT NULL, tokens int NOT NULL, '
        'embedding @extschema:vector@.vector(%s) NOT NULL, PRIMARY KEY (%s, ordinality)',
        v_definition.dimensions, v_keys));
    EXECUTE format('COMMENT ON TABLE %s IS %L', v_table, format(
        'The chunks of %s that the embedding "%s" is made of', v_definition.source,
        v_definition.name));
    PERFORM rowvec._create_chunk_rows(p_embedding_id);
END
$function$;
