-- Called by similar_pairs and the job that stores them: each row's nearest others, by the index.
--
-- p_keys, where not NULL, are the keys of the only rows whose others are looked for.
CREATE OR REPLACE FUNCTION rowvec._similar_pairs(
    p_definition rowvec.embedding,
    p_k int,
    p_filter text,
    p_filter_args jsonb,
    p_options jsonb,
    p_keys jsonb
)
RETURNS TABLE (key jsonb, distance float8, rank int, other_key jsonb)
-- No search_path of its own: the filter is the caller's, and means what it means to the caller.
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    v_options CONSTANT pg_catalog.jsonb := rowvec._search_options(p_definition, p_k, p_options);
    v_candidates CONSTANT int := rowvec._candidates(p_definition, p_k, v_options);
    v_condition pg_catalog.text;
BEGIN
    PERFORM rowvec._refuse_text_options(v_options);
    IF p_filter IS NOT NULL THEN
        PERFORM rowvec._check_expression(p_definition.source, p_filter);
    ELSIF p_filter_args IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = 'filter_args without a filter to use them';
    END IF;
    PERFORM rowvec._warn_unfilled(p_definition);
    v_condition := rowvec._all_of(
        rowvec._qualified(p_definition.filter),
        CASE WHEN v_options OPERATOR(pg_catalog.@>) '{"current": true}' THEN rowvec._current(p_definition) END,
        p_filter);
    RETURN QUERY SELECT * FROM rowvec._run_search(
        rowvec._pairs_statement(p_definition, p_k, v_candidates, v_options, v_condition,
            p_filter IS NOT NULL OR pg_catalog.row_security_active(p_definition.source), p_keys),
        rowvec._search_settings(p_definition, v_candidates, v_options),
        p_filter IS NOT NULL, p_filter_args, NULL, NULL, NULL, NULL::pg_catalog.jsonb);
END
$function$;
