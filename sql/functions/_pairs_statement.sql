-- Called by _similar_pairs alone: the statement of each row's nearest others.
--
-- As in similar, a row of chunks asks with their mean, and is as near as its nearest chunk.
CREATE OR REPLACE FUNCTION rowvec._pairs_statement(
    p_definition rowvec.embedding,
    p_k int,
    p_candidates int,
    p_options jsonb,
    p_condition text,
    p_is_filtered boolean,
    p_keys jsonb
)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_columns text[];
    v_selected text;
    v_rowvec_row text[];
    v_keys text[];
    v_key text;
    v_other_key text;
    v_chunks text;
    v_rows text;
    v_others text;
    v_nearest text;
BEGIN
    SELECT array_agg(name ORDER BY i),
        string_agg(format('%I AS c%s', name, i), ', ' ORDER BY i),
        array_agg('rowvec_row.c' || i ORDER BY i),
        array_agg(
            CASE WHEN is_single
                THEN format('(rowvec_k OPERATOR(pg_catalog.#>>) ''{}''::pg_catalog.text[])::%s', type)
                ELSE format('(rowvec_k OPERATOR(pg_catalog.->>) %L::pg_catalog.text)::%s', name, type)
            END ORDER BY i),
        CASE WHEN bool_and(is_single) THEN 'pg_catalog.to_jsonb(rowvec_row.c1)'
            ELSE format('pg_catalog.jsonb_build_object(%s)',
                string_agg(format('%L, rowvec_row.c%s', name, i), ', ' ORDER BY i)) END,
        CASE WHEN bool_and(is_single) THEN 'pg_catalog.to_jsonb(q.c1)'
            ELSE format('pg_catalog.jsonb_build_object(%s)',
                string_agg(format('%L, q.c%s', name, i), ', ' ORDER BY i)) END
    INTO STRICT v_columns, v_selected, v_rowvec_row, v_keys, v_key, v_other_key
    FROM (
        SELECT name, type, i, count(*) OVER () = 1 AS is_single
        FROM ROWS FROM (rowvec._key_columns(p_definition.source))
            WITH ORDINALITY AS c(name, type, i)
    ) AS k;
    v_others := concat_ws(' AND ', p_condition,
        format('NOT (%s)', rowvec._key_condition(p_definition.source, '=', v_rowvec_row)));
    IF p_definition.destination = 'table' THEN
        SELECT format('%s WHERE %s', c.oid::regclass, rowvec._key_condition(p_definition.source, '=',
            array_agg(format('%I.%I', s.relname, u.name) ORDER BY i), quote_ident(c.relname)))
        INTO STRICT v_chunks
        FROM pg_class AS s, pg_class AS c, unnest(v_columns) WITH ORDINALITY AS u(name, i)
        WHERE s.oid = p_definition.source AND c.oid = rowvec._derived(p_definition.id, 'chunks')
        GROUP BY c.oid, c.relname;
        v_rows := format(
            'SELECT %1$s, (SELECT @extschema:vector@.avg(embedding) FROM %2$s) AS v FROM %3$s '
            'WHERE EXISTS (SELECT FROM %2$s)',
            v_selected, v_chunks, p_definition.source);
        v_nearest := format('WITH %s SELECT * FROM rowvec_n', rowvec._nearest_chunked(
            p_definition, ARRAY(SELECT generate_subscripts(v_columns, 1)), v_columns, 'rowvec_row.v',
            v_others, p_candidates, p_k, coalesce((p_options ->> 'exact')::boolean, false)));
    ELSE
        v_rows := format('SELECT %s, %I AS v FROM %s WHERE %2$I IS NOT NULL',
            v_selected, p_definition.name, p_definition.source);
        v_nearest := rowvec._nearest_enough(
            p_definition, v_selected, 'rowvec_row.v', v_others, p_candidates, p_k, p_is_filtered,
            coalesce((p_options ->> 'exact')::boolean, false));
    END IF;
    RETURN format(
        $sql$
        SELECT %1$s, q.distance, q.rank::pg_catalog.int4, %2$s
        FROM (%3$s%4$s%5$s) AS rowvec_row
        CROSS JOIN LATERAL (
            SELECT n.*, pg_catalog.row_number() OVER (ORDER BY n.distance) AS rank
            FROM (%6$s) AS n
            ORDER BY n.distance
            LIMIT %7$s
        ) AS q
        $sql$,
        v_key, v_other_key, v_rows,
        ' AND ' || p_condition,
        CASE WHEN p_keys IS NOT NULL THEN
            format(' AND EXISTS (SELECT FROM '
                'pg_catalog.jsonb_array_elements(%L::pg_catalog.jsonb) AS rowvec_k WHERE %s)',
                p_keys, rowvec._key_condition(p_definition.source, '=', v_keys)) END,
        v_nearest, p_k);
END
$function$;
