-- Called by _search_statement alone: a search in steps: candidates of each half, fused, then their rows.
--
-- Reciprocal rank fusion (Cormack, Clarke, Buettcher: Reciprocal rank fusion outperforms Condorcet and
-- individual rank learning methods, SIGIR 2009): a row's score is the sum over the halves of
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
    c_has_chunks CONSTANT boolean := p_definition.destination = 'table';
    -- As many as a cross-encoder scores within a second or so on a CPU.
    c_reranked CONSTANT int := 50;
    c_fused CONSTANT int := CASE WHEN p_options ? 'rerank' THEN greatest(p_k, c_reranked) ELSE p_k END;
    c_distance CONSTANT text := format('%%s OPERATOR(@extschema:vector@.%s) %s',
        CASE p_definition.metric
            WHEN 'inner_product' THEN '<#>' WHEN 'l2' THEN '<->' ELSE '<=>' END,
        p_vector);
    v_chunks regclass;
    v_cs text;        -- c1, c2 of the key
    v_keys text;      -- "id" AS c1, ...
    v_names text;     -- "id", ...
    v_parts text[] := '{}';
    v_halves text[] := '{}';
BEGIN
    SELECT string_agg('c' || i, ', ' ORDER BY o), string_agg(format('%I AS c%s', p_names[i], i), ', ' ORDER BY o),
        string_agg(quote_ident(p_names[i]), ', ' ORDER BY o)
    INTO STRICT v_cs, v_keys, v_names
    FROM unnest(p_keys) WITH ORDINALITY AS u(i, o);
    IF c_has_chunks THEN
        v_chunks := rowvec._derived(p_definition.id, 'chunks');
    END IF;

    IF c_method IN ('vector', 'hybrid') THEN
        v_parts := v_parts || CASE WHEN c_has_chunks THEN
            rowvec._nearest_chunked(p_definition, v_chunks, p_keys, p_names, p_vector, p_condition,
                p_candidates, p_k, coalesce((p_options ->> 'exact')::boolean, false))
        ELSE
            format('n AS MATERIALIZED (%s)', rowvec._nearest(
                p_definition, p_definition.source, v_keys, p_vector, p_condition, p_candidates,
                coalesce((p_options ->> 'exact')::boolean, false)))
        END;
        v_halves := v_halves || format(
            'SELECT %s, %s / (60 + pg_catalog.row_number() OVER (ORDER BY n.distance)) AS score FROM n',
            v_cs, coalesce(p_options #>> '{weights,vector}', '1') || '::pg_catalog.float8');
    END IF;
    IF c_method IN ('text', 'hybrid') THEN
        v_parts := v_parts || format(
            't AS MATERIALIZED ('
            'SELECT %1$s, pg_catalog.ts_rank(%2$s, %3$s, 1) AS ts_rank FROM %4$s '
            'WHERE %2$s OPERATOR(pg_catalog.@@) %3$s%5$s ORDER BY ts_rank DESC, %6$s LIMIT %7$s)',
            v_keys, rowvec._text_document(p_definition, (p_options ->> 'text_config')::regconfig), p_tsquery, p_definition.source,
            ' AND ' || p_condition, v_names, p_candidates);
        v_halves := v_halves || format(
            'SELECT %s, %s / (60 + pg_catalog.row_number() OVER (ORDER BY t.ts_rank DESC, %s)) AS score FROM t',
            v_cs, coalesce(p_options #>> '{weights,text}', '1') || '::pg_catalog.float8', v_cs);
    END IF;
    v_parts := v_parts || format(
        'f AS MATERIALIZED (SELECT h.*, pg_catalog.row_number() OVER (ORDER BY h.score DESC, %1$s) AS place '
        'FROM (SELECT %1$s, pg_catalog.sum(score) AS score FROM (%2$s) AS u GROUP BY %1$s) AS h '
        'ORDER BY place LIMIT %3$s)',
        v_cs, array_to_string(v_halves, ' UNION ALL '), c_fused);
    v_parts := v_parts || format(
        'd AS MATERIALIZED (SELECT f.place, %1$s AS distance, %2$s AS key, %3$s AS "row", %4$s AS document '
        'FROM f CROSS JOIN LATERAL (SELECT %5$s%6$s FROM %7$s WHERE (%8$s) OPERATOR(pg_catalog.=) (%9$s)) AS q%10$s)',
        CASE WHEN c_has_chunks THEN 'm.distance' ELSE 'q.distance' END,
        p_key,
        CASE WHEN c_has_chunks AND p_row NOT LIKE 'ROW(%' THEN
            p_row || ' OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object(''_chunk'', m.chunk)' ELSE p_row END,
        CASE WHEN NOT p_options ? 'rerank' THEN 'NULL::pg_catalog.text'
            WHEN c_has_chunks THEN 'm.text' ELSE 'q.document' END,
        p_selected,
        CASE WHEN NOT c_has_chunks THEN
            ', ' || format(c_distance, quote_ident(p_definition.name)) || ' AS distance, ('
            || p_definition.input || ') AS document' END,
        p_definition.source, v_names, (SELECT string_agg('f.c' || i, ', ' ORDER BY o) FROM unnest(p_keys) WITH ORDINALITY AS u(i, o)),
        CASE WHEN c_has_chunks THEN format(
            ' LEFT JOIN LATERAL (SELECT %1$s AS distance, chunk AS text, pg_catalog.jsonb_build_object('
            '''ordinality'', ordinality, ''chunk'', chunk, ''start_char'', start_char, ''end_char'', end_char) AS chunk '
            'FROM %2$s WHERE (%3$s) OPERATOR(pg_catalog.=) (%4$s) ORDER BY distance LIMIT 1) AS m ON true',
            format(c_distance, 'embedding'), v_chunks, v_names,
            (SELECT string_agg('f.c' || i, ', ' ORDER BY o) FROM unnest(p_keys) WITH ORDINALITY AS u(i, o))) END);
    IF p_options ? 'rerank' THEN
        RETURN format(
            'WITH %1$s SELECT d.key, d.distance, (pg_catalog.row_number() OVER (ORDER BY r.score DESC, d.place))::pg_catalog.int4, d."row" '
            'FROM rowvec.rerank(%2$L, %3$s, (SELECT pg_catalog.array_agg(coalesce(document, '''') ORDER BY place) FROM d), ''{"return_documents": false}'') AS r '
            'JOIN d ON d.place OPERATOR(pg_catalog.=) r.ordinality ORDER BY r.score DESC, d.place LIMIT %4$s',
            array_to_string(v_parts, ', '), p_options ->> 'rerank', p_query, p_k);
    END IF;
    RETURN format(
        'WITH %s SELECT d.key, d.distance, d.place::pg_catalog.int4, d."row" FROM d ORDER BY d.place',
        array_to_string(v_parts, ', '));
END
$function$;
