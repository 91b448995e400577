-- Called by _search_statement alone: a search in steps: candidates of each half, fused, their rows.
--
-- Reciprocal rank fusion (Cormack, Clarke, Buettcher: Reciprocal rank fusion outperforms Condorcet
-- and individual rank learning methods, SIGIR 2009): a row's score is the sum over the halves of
-- weight / (60 + its place in that half). Places alone count, since distances and ts_rank have no
-- common scale. With a destination table the nearest chunk of a row stands for it.
CREATE OR REPLACE FUNCTION rowvec._fused_statement(
    p_definition rowvec.embedding,
    p_k int,
    p_candidates int,
    p_options jsonb,
    p_vector text,
    p_tsquery text,
    p_query text,
    p_condition text,
    p_names text[],
    p_keys int[],
    p_selected text,
    p_key text,
    p_row text
)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_method CONSTANT text := coalesce(p_options ->> 'method', 'vector');
    c_reranker CONSTANT text := p_options ->> 'rerank';
    c_is_exact CONSTANT boolean := coalesce((p_options ->> 'exact')::boolean, false);
    -- As many as a cross-encoder scores within a second or so on a CPU.
    c_reranked CONSTANT int := 50;
    v_cs text;
    v_keys text;
    v_steps text[] := '{}';
    v_halves text[] := '{}';
BEGIN
    SELECT string_agg('c' || i, ', ' ORDER BY o),
        string_agg(format('%I AS c%s', p_names[i], i), ', ' ORDER BY o)
    INTO STRICT v_cs, v_keys
    FROM unnest(p_keys) WITH ORDINALITY AS u(i, o);

    IF c_method <> 'text' THEN
        v_steps := v_steps || CASE p_definition.destination
            WHEN 'table' THEN
                rowvec._nearest_chunked(p_definition, p_keys, p_names, p_vector, p_condition,
                    p_candidates, p_k, c_is_exact)
            ELSE
                format('rowvec_n AS MATERIALIZED (%s)', rowvec._nearest(p_definition,
                    p_definition.source, v_keys, p_vector, p_condition, p_candidates, c_is_exact))
        END;
        v_halves := v_halves || format(
            'SELECT %s, %s::pg_catalog.float8 OPERATOR(pg_catalog./) (60 OPERATOR(pg_catalog.+) '
            'pg_catalog.row_number() OVER (ORDER BY distance)) AS score FROM rowvec_n',
            v_cs, coalesce(p_options #>> '{weights,vector}', '1'));
    END IF;
    IF c_method <> 'vector' THEN
        v_steps := v_steps || format('rowvec_t AS MATERIALIZED (%s)', rowvec._best_by_words(
            p_definition, v_keys, v_cs, p_tsquery, p_condition, p_candidates,
            (p_options ->> 'text_config')::regconfig));
        v_halves := v_halves || format(
            'SELECT %1$s, %2$s::pg_catalog.float8 OPERATOR(pg_catalog./) (60 OPERATOR(pg_catalog.+) '
            'pg_catalog.row_number() OVER (ORDER BY ts_rank DESC, %1$s)) AS score FROM rowvec_t',
            v_cs, coalesce(p_options #>> '{weights,text}', '1'));
    END IF;

    RETURN format(
        $sql$
        WITH %1$s, rowvec_f AS MATERIALIZED (
            SELECT u.*, pg_catalog.row_number() OVER (ORDER BY score DESC, %2$s) AS place
            FROM (
                SELECT %2$s, pg_catalog.sum(score) AS score FROM (%3$s) AS h GROUP BY %2$s
            ) AS u
            ORDER BY place
            LIMIT %4$s
        ), d AS MATERIALIZED (
            SELECT rowvec_f.place, q.distance, q.document, %5$s AS key, %6$s AS "row"
            FROM rowvec_f CROSS JOIN LATERAL (%7$s) AS q
        )
        $sql$,
        array_to_string(v_steps, ', '), v_cs, array_to_string(v_halves, ' UNION ALL '),
        CASE WHEN c_reranker IS NULL THEN p_k ELSE greatest(p_k, c_reranked) END,
        p_key,
        CASE WHEN p_definition.destination = 'table' AND p_row NOT LIKE 'ROW(%' THEN
            format('%s OPERATOR(pg_catalog.||) '
                'pg_catalog.jsonb_build_object(''_chunk'', q.chunk)', p_row)
        ELSE p_row END,
        rowvec._fused_row(p_definition, p_names, p_keys, p_selected, p_vector))
    || CASE WHEN c_reranker IS NULL THEN
        'SELECT key, distance, place::pg_catalog.int4, "row" FROM d ORDER BY place'
    ELSE
        format(
            $sql$
            SELECT d.key, d.distance,
                (pg_catalog.row_number() OVER (ORDER BY r.score DESC, d.place))::pg_catalog.int4,
                d."row"
            FROM rowvec.rerank(%1$L, %2$s,
                (SELECT pg_catalog.array_agg(coalesce(document, '') ORDER BY place) FROM d),
                '{"return_documents": false}') AS r
            JOIN d ON d.place OPERATOR(pg_catalog.=) r.ordinality
            ORDER BY r.score DESC, d.place
            LIMIT %3$s
            $sql$,
            c_reranker, p_query, p_k)
    END;
END
$function$;
