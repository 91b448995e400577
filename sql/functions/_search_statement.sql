-- Called by _search alone: the statement of a search.
--
-- p_vector, p_tsquery and p_query are SQL: parameters or literals; p_condition is over the source,
-- and NULL where every row will do. p_row is the type of the column row, NULL for jsonb.
--
-- Column number n travels as cn, so that no name of the user's meets one of ours. The nearest rows
-- are read from the source alone: unqualified columns of filters mean those.
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
    v_keys int2[];
    v_selected text;
    v_row text;
    v_key text;
BEGIN
    -- One query: every search makes it, and to begin a query costs more than to read these rows.
    SELECT k.attnums,
        string_agg(format('%I AS c%s', attname, attnum), ', ' ORDER BY attnum),
        string_agg(CASE WHEN p_row IS NULL THEN format('q.c%s AS %I', attnum, attname)
            ELSE 'q.c' || attnum END, ', ' ORDER BY attnum),
        string_agg(format('%L, q.c%s', attname, attnum), ', ' ORDER BY attnum)
            FILTER (WHERE attnum = ANY (k.attnums))
    INTO v_keys, v_selected, v_row, v_key
    FROM pg_attribute CROSS JOIN (
        SELECT (indkey::int2[])[0:indnkeyatts - 1] AS attnums
        FROM pg_index
        WHERE indrelid = p_definition.source AND indisprimary
    ) AS k
    WHERE attrelid = p_definition.source AND attnum > 0 AND NOT attisdropped
        AND (p_row IS NOT NULL OR attname <> ALL (ARRAY(
            SELECT unnest(ARRAY[name, name || '_of'])
            FROM rowvec.embedding
            WHERE source = p_definition.source)))
    GROUP BY k.attnums;
    IF v_keys IS NULL THEN
        PERFORM rowvec._key_columns(p_definition.source);  -- says that there is no primary key
    END IF;
    v_row := CASE WHEN p_row IS NULL
        THEN '(SELECT pg_catalog.to_jsonb(r.*) FROM (SELECT ' || v_row || ') AS r)'
        ELSE format('ROW(%s)::%s', v_row, p_row) END;
    v_key := CASE cardinality(v_keys) WHEN 1 THEN 'pg_catalog.to_jsonb(q.c' || v_keys[1] || ')'
        ELSE 'pg_catalog.jsonb_build_object(' || v_key || ')' END;

    IF p_definition.destination = 'table' OR p_options ? 'rerank'
        OR p_options ->> 'method' IN ('text', 'hybrid')
    THEN
        RETURN rowvec._fused_statement(
            p_definition, p_k, p_candidates, p_options, p_vector, p_tsquery, p_query, p_condition,
            ARRAY(SELECT attname::text FROM pg_attribute
                WHERE attrelid = p_definition.source AND attnum > 0 ORDER BY attnum),
            v_keys::int[], v_selected, v_key, v_row);
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
