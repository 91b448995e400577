-- Called by create_embedding alone: the table for an embedding's chunks, and a view of them beside their rows.
--
-- The view shows the row as one value, "row", so that it stands in the way of no change to the source:
-- (c."row").title. Which chunk is the best depends on the question: ORDER BY embedding <=> ... .
CREATE OR REPLACE FUNCTION rowvec._create_chunks(p_embedding_id bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_definition rowvec.embedding;
    v_table regclass;
    v_view text;
    v_keys text;
    v_taken text;
    v_match text;
BEGIN
    SELECT * INTO STRICT v_definition FROM rowvec.embedding WHERE id = p_embedding_id;
    SELECT string_agg(format('%I', k.name), ', ' ORDER BY k.position),
        string_agg(format('s.%1$I OPERATOR(pg_catalog.=) c.%1$I', k.name), ' AND '
            ORDER BY k.position),
        min(k.name) FILTER (WHERE k.name IN
            ('ordinality', 'chunk', 'start_char', 'end_char', 'tokens', 'embedding', 'row'))
    INTO STRICT v_keys, v_match, v_taken
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

    SELECT format('%I.%I', n.nspname, c.relname || '_rows') INTO STRICT v_view
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = v_table;
    -- As the caller: row-level security of the source holds for its chunks here.
    EXECUTE format(
        'CREATE VIEW %s WITH (security_invoker = true) AS SELECT c.*, s AS "row" FROM %s AS c '
        'JOIN %s AS s ON %s', v_view, v_table, v_definition.source, v_match);
    INSERT INTO rowvec.derived (embedding_id, kind, relation)
    VALUES (p_embedding_id, 'rows', v_view::regclass);
END
$function$;
