-- Called by every member of rowvec_user: the vectors of the texts that a two-column query gives.
CREATE OR REPLACE FUNCTION rowvec.embed_rows(model text, query text, kwargs jsonb DEFAULT '{}')
RETURNS TABLE (key text, embedding @extschema:vector@.vector)
-- No search_path of its own: the query is the caller's, and means what it means to the caller.
-- STABLE also keeps the query from writing.
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000
AS $function$
DECLARE
    c_rows CONSTANT int := 256;
    c_bytes CONSTANT int := 16 OPERATOR(pg_catalog.*) 1024 OPERATOR(pg_catalog.*) 1024;
    v_query CONSTANT pg_catalog.text := pg_catalog.rtrim(query, E'; \t\r\n');
    v_cursor refcursor;
    v_row record;
    v_keys pg_catalog.text[] := '{}';
    v_texts pg_catalog.text[] := '{}';
    v_bytes bigint := 0;
BEGIN
    IF query IS NULL THEN
        RETURN;
    END IF;
    -- A cursor takes one statement that reads, and nothing runs before the first FETCH.
    OPEN v_cursor FOR EXECUTE v_query;
    CLOSE v_cursor;
    BEGIN
        OPEN v_cursor FOR EXECUTE pg_catalog.concat(
            'SELECT * FROM (', v_query, E'\n) AS q UNION ALL SELECT NULL, NULL WHERE false');
        CLOSE v_cursor;
    EXCEPTION WHEN syntax_error THEN
        RAISE EXCEPTION USING ERRCODE = '42601',
            MESSAGE = 'the query of embed_rows must have two columns: a key and a text',
            HINT = 'for example: SELECT id, title || '' '' || body FROM articles';
    END;

    FOR v_row IN EXECUTE pg_catalog.concat(
        'SELECT q.k::pg_catalog.text AS k, q.t::pg_catalog.text AS t FROM (', v_query, E'\n) AS q(k, t)')
    LOOP
        v_keys := pg_catalog.array_append(v_keys, v_row.k);
        v_texts := pg_catalog.array_append(v_texts, v_row.t);
        v_bytes := v_bytes OPERATOR(pg_catalog.+) coalesce(pg_catalog.octet_length(v_row.t), 0);
        IF pg_catalog.cardinality(v_keys) OPERATOR(pg_catalog.>=) c_rows
            OR v_bytes OPERATOR(pg_catalog.>=) c_bytes
        THEN
            RETURN QUERY SELECT * FROM rowvec._embed_keyed(model, v_keys, v_texts, kwargs);
            v_keys := '{}';
            v_texts := '{}';
            v_bytes := 0;
        END IF;
    END LOOP;
    RETURN QUERY SELECT * FROM rowvec._embed_keyed(model, v_keys, v_texts, kwargs);
END
$function$;
