-- Called by _search alone: the statement of a search.
--
-- p_vector, p_tsquery and p_query are SQL: parameters or literals; p_condition is over the source,
-- and NULL where every row will do. p_row is the type of the column row, NULL for jsonb.
-- The nearest rows are read from the source alone: unqualified columns of filters mean those.
CREATE OR REPLACE FUNCTION rowvec._search_statement(
    p_definition rowvec.embedding,
    p_k int,
    p_candidates int,
    p_options jsonb,
    p_vector text,
    p_tsquery text,
    p_query text,
    p_condition text,
    p_is_filtered boolean,
    p_row regtype
)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_columns record;
    v_selected text;
    v_key text;
    v_row text;
BEGIN
    SELECT * INTO STRICT v_columns
    FROM rowvec._search_columns(p_definition.source, p_row IS NOT NULL);
    SELECT string_agg(format('%I AS c%s', n, i), ', '),
        CASE WHEN p_row IS NULL THEN
            format('(SELECT pg_catalog.to_jsonb(r.*) FROM (SELECT %s) AS r)',
                string_agg(format('q.c%s AS %I', i, n), ', '))
        ELSE
            format('ROW(%s)::%s', string_agg('q.c' || i, ', '), p_row)
        END,
        CASE WHEN cardinality(v_columns.keys) = 1 THEN
            format('pg_catalog.to_jsonb(q.c%s)', v_columns.keys[1])
        ELSE
            format('pg_catalog.jsonb_build_object(%s)',
                string_agg(format('%L, q.c%s', n, i), ', ') FILTER (WHERE i = ANY (v_columns.keys)))
        END
    INTO STRICT v_selected, v_row, v_key
    FROM unnest(v_columns.names) WITH ORDINALITY AS u(n, i);

    IF p_definition.destination = 'table' OR p_options ? 'rerank'
        OR p_options ->> 'method' IN ('text', 'hybrid')
    THEN
        RETURN rowvec._fused_statement(
            p_definition, p_k, p_candidates, p_options, p_vector, p_tsquery, p_query, p_condition,
            v_columns.names, v_columns.keys, v_selected, v_key, v_row);
    END IF;

    -- The outer ORDER BY is for scans that are only nearly in order, and for what is ranked again.
    RETURN format(
        $sql$
        SELECT %1$s, q.distance,
            (pg_catalog.row_number() OVER (ORDER BY q.distance))::pg_catalog.int4, %2$s
        FROM (%3$s) AS q
        ORDER BY q.distance
        LIMIT %4$s
        $sql$,
        v_key, v_row,
        rowvec._nearest_enough(p_definition, v_selected, p_vector, p_condition, p_candidates, p_k,
            p_is_filtered, coalesce((p_options ->> 'exact')::boolean, false)),
        p_k);
END
$function$;
