-- Called by _create_chunks and _follow_key: the view of an embedding's chunks beside their rows.
--
-- It shows the row as one value, "row", so that it stands in the way of few changes to the source:
-- (c."row").title. Which chunk is the best depends on the question: ORDER BY embedding <=> ... .
CREATE OR REPLACE FUNCTION rowvec._create_chunk_rows(p_embedding_id bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_source CONSTANT regclass := (SELECT source FROM rowvec.embedding WHERE id = p_embedding_id);
    v_table CONSTANT regclass := rowvec._derived(p_embedding_id, 'chunks');
    v_view text;
    v_match text;
BEGIN
    v_match := rowvec._key_condition(v_source, '=', ARRAY(
        SELECT format('c.%I', k.name)
        FROM ROWS FROM (rowvec._key_columns(v_source)) WITH ORDINALITY AS k(name, type, position)
        ORDER BY k.position), 's');
    SELECT format('%I.%I', n.nspname, c.relname || '_rows') INTO STRICT v_view
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = v_table;
    -- As the caller: row-level security of the source holds for its chunks here.
    EXECUTE format(
        'CREATE VIEW %s WITH (security_invoker = true) AS SELECT c.*, s AS "row" FROM %s AS c '
        'JOIN %s AS s ON %s', v_view, v_table, v_source, v_match);
    INSERT INTO rowvec.derived (embedding_id, kind, relation, relation_name)
    SELECT p_embedding_id, 'rows', c.oid, c.relname FROM pg_class AS c WHERE c.oid = v_view::regclass
    ON CONFLICT (embedding_id, kind) DO UPDATE
    SET relation = excluded.relation, relation_name = excluded.relation_name;
END
$function$;
