-- Called by search, search_rows, nearest and similar: checks what was asked, makes the statement, runs it.
--
-- p_row gives the type of the column row: jsonb, or the row type of the source. p_except is a
-- condition of ours over the source. p_vector is NULL where p_query is to be embedded.
--
-- What most searches need stands here, and a function is called only where there is work for it: a
-- session sets up each function and expression again for each transaction, which would take as long
-- as an hnsw index.
CREATE OR REPLACE FUNCTION rowvec._search(
    p_definition rowvec.embedding,
    p_vector @extschema:vector@.vector,
    p_query text,
    p_k int,
    p_filter text,
    p_filter_args jsonb,
    p_options jsonb,
    p_except text,
    p_row anyelement
)
RETURNS TABLE (key jsonb, distance float8, rank int, "row" anyelement)
-- No search_path of its own: the filter is the caller's, and means what it means to the caller.
LANGUAGE plpgsql VOLATILE COST 100000 ROWS 10
AS $function$
DECLARE
    v_options pg_catalog.jsonb := p_options;
    v_vector @extschema:vector@.vector := p_vector;
    v_condition pg_catalog.text := rowvec._qualified(p_definition.filter);
    v_candidates int := p_k;
    v_config pg_catalog.regconfig;
    v_tsquery pg_catalog.tsquery;
    v_statement pg_catalog.text;
    v_settings pg_catalog.text[];
BEGIN
    IF (p_k OPERATOR(pg_catalog.>=) 1 AND p_k OPERATOR(pg_catalog.<=) 10000
        AND p_options OPERATOR(pg_catalog.=) '{}') IS NOT TRUE
    THEN
        v_options := rowvec._search_options(p_definition, p_k, p_options);
    END IF;
    IF p_filter IS NOT NULL THEN
        PERFORM rowvec._check_expression(p_definition.source, p_filter);
    ELSIF p_filter_args IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'filter_args without a filter to use them';
    END IF;
    IF v_vector IS NULL THEN
        IF p_query IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'query must not be NULL';
        END IF;
        v_vector := rowvec._embed_query(p_definition, p_query);
    END IF;
    -- _warn_unfilled remembers what it found filled, and in which second.
    IF (pg_catalog.current_setting('rowvec.filled', true) OPERATOR(pg_catalog.=) pg_catalog.concat_ws(
        ' ', p_definition.id, pg_catalog.date_trunc('second', pg_catalog.clock_timestamp()))) IS NOT TRUE
    THEN
        PERFORM rowvec._warn_unfilled(p_definition);
    END IF;

    IF v_options OPERATOR(pg_catalog.<>) '{}' OR p_filter IS NOT NULL OR p_except IS NOT NULL THEN
        -- NULL where every row will do: concat_ws leaves NULLs out.
        v_condition := rowvec._all_of(
            v_condition,
            p_except,
            CASE WHEN v_options OPERATOR(pg_catalog.@>) '{"current": true}' THEN rowvec._current(p_definition) END,
            p_filter);
        IF v_options OPERATOR(pg_catalog.->>) 'method' OPERATOR(pg_catalog.=) ANY ('{text,hybrid}') THEN
            v_config := rowvec._text_config(p_definition, v_options);
            v_tsquery := rowvec._text_query(v_config, p_query);
            v_options := v_options OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('text_config', v_config::pg_catalog.oid);
        END IF;
    END IF;
    v_candidates := rowvec._candidates(p_definition, p_k, v_options);
    -- Within a filter $1, $2, ... are the filter's own: then what is ours stands as literals.
    v_statement := rowvec._search_statement(
        p_definition, p_k, v_candidates, v_options,
        CASE WHEN p_filter IS NULL THEN '$1'
            ELSE pg_catalog.format('%L::@extschema:vector@.vector', v_vector) END,
        CASE WHEN p_filter IS NULL THEN '$2'
            ELSE pg_catalog.format('%L::pg_catalog.tsquery', v_tsquery) END,
        CASE WHEN p_filter IS NULL THEN '$3' ELSE pg_catalog.quote_nullable(p_query) END,
        v_condition,
        p_filter IS NOT NULL OR v_options OPERATOR(pg_catalog.@>) '{"current": true}'
            OR pg_catalog.row_security_active(p_definition.source),
        CASE WHEN pg_catalog.pg_typeof(p_row) OPERATOR(pg_catalog.<>) 'pg_catalog.jsonb'::pg_catalog.regtype
            THEN pg_catalog.pg_typeof(p_row) END);
    v_settings := rowvec._search_settings(p_definition, v_candidates, v_options);
    IF p_filter IS NULL
        AND (pg_catalog.current_setting('rowvec.explain', true) OPERATOR(pg_catalog.=) 'on') IS NOT TRUE
    THEN
        v_settings := rowvec._exchange_settings(v_settings);
        RETURN QUERY EXECUTE v_statement USING v_vector, v_tsquery, p_query;
        v_settings := rowvec._exchange_settings(v_settings);
    ELSE
        RETURN QUERY SELECT * FROM rowvec._run_search(v_statement, v_settings,
            p_filter IS NOT NULL, p_filter_args, v_vector, v_tsquery, p_query, p_row);
    END IF;
END
$function$;
