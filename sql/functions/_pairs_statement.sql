-- Called by _similar_pairs alone: the statement of each row's nearest others.
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
    v_names text;
    v_selected text;
    v_of_row text;
    v_keys text;
    v_key text;
    v_other_key text;
BEGIN
    SELECT string_agg(format('%I', name), ', ' ORDER BY i),
        string_agg(format('%I AS c%s', name, i), ', ' ORDER BY i),
        string_agg('s.c' || i, ', ' ORDER BY i),
        string_agg(
            CASE WHEN is_single THEN format('(k #>> ''{}'')::%s', type)
                ELSE format('(k ->> %L)::%s', name, type) END, ', ' ORDER BY i),
        CASE WHEN bool_and(is_single) THEN 'pg_catalog.to_jsonb(s.c1)'
            ELSE format('pg_catalog.jsonb_build_object(%s)',
                string_agg(format('%L, s.c%s', name, i), ', ' ORDER BY i)) END,
        CASE WHEN bool_and(is_single) THEN 'pg_catalog.to_jsonb(q.c1)'
            ELSE format('pg_catalog.jsonb_build_object(%s)',
                string_agg(format('%L, q.c%s', name, i), ', ' ORDER BY i)) END
    INTO STRICT v_names, v_selected, v_of_row, v_keys, v_key, v_other_key
    FROM (
        SELECT name, type, i, count(*) OVER () = 1 AS is_single
        FROM ROWS FROM (rowvec._key_columns(p_definition.source))
            WITH ORDINALITY AS c(name, type, i)
    ) AS k;
    RETURN format(
        $sql$
        SELECT %1$s, q.distance, q.rank::pg_catalog.int4, %2$s
        FROM (SELECT %3$s, %4$I AS v FROM %5$s WHERE %4$I IS NOT NULL%6$s%7$s) AS s
        CROSS JOIN LATERAL (
            SELECT n.*, pg_catalog.row_number() OVER (ORDER BY n.distance) AS rank
            FROM (%8$s) AS n
            ORDER BY n.distance
            LIMIT %9$s
        ) AS q
        $sql$,
        v_key, v_other_key, v_selected, p_definition.name, p_definition.source,
        ' AND ' || p_condition,
        CASE WHEN p_keys IS NOT NULL THEN
            format(' AND (%s) IN (SELECT %s FROM pg_catalog.jsonb_array_elements(%L::jsonb) AS k)',
                v_names, v_keys, p_keys) END,
        rowvec._nearest_enough(
            p_definition, v_selected, 's.v',
            concat_ws(' AND ', p_condition,
                format('NOT ((%s) OPERATOR(pg_catalog.=) (%s))', v_names, v_of_row)),
            p_candidates, p_k, p_is_filtered, coalesce((p_options ->> 'exact')::boolean, false)),
        p_k);
END
$function$;
