-- Called by _fused_statement alone: common table expressions that end in n, the rows of the nearest chunks.
--
-- A text of many chunks may be all that is nearest: where the first candidates are of fewer than p_k
-- rows, twenty times as many are looked at, and where that is not enough all chunks are.
CREATE OR REPLACE FUNCTION rowvec._nearest_chunked(
    p_definition rowvec.embedding,
    p_chunks regclass,
    p_keys int[],
    p_names text[],
    p_vector text,
    p_condition text,
    p_candidates int,
    p_k int,
    p_exact boolean
)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_more CONSTANT int := 20;
    v_cs text;
    v_selected text;
    v_of_source text;
    v_of_chunk text;
    v_condition text;
    v_grouped text;
BEGIN
    SELECT string_agg('c' || i, ', '), string_agg(format('%I AS c%s', p_names[i], i), ', '),
        string_agg(format('%I.%I', s.relname, p_names[i]), ', '),
        string_agg(format('%I.%I', c.relname, p_names[i]), ', ')
    INTO STRICT v_cs, v_selected, v_of_source, v_of_chunk
    FROM unnest(p_keys) AS i, pg_class AS s, pg_class AS c
    WHERE s.oid = p_definition.source AND c.oid = p_chunks;
    v_condition := format('EXISTS (SELECT FROM %s WHERE (%s) OPERATOR(pg_catalog.=) (%s) AND %s)',
        p_definition.source, v_of_source, v_of_chunk, p_condition);
    IF p_condition IS NULL THEN
        v_condition := NULL;
    END IF;
    v_grouped := format('SELECT %1$s, pg_catalog.min(distance) AS distance FROM (%%s) AS s%%s GROUP BY %1$s',
        v_cs);
    IF p_exact THEN
        RETURN format('n AS MATERIALIZED (%s)', format(v_grouped, rowvec._nearest(
            p_definition, p_chunks, v_selected, p_vector, v_condition, NULL, true), ''));
    END IF;
    RETURN format(
        'n1 AS MATERIALIZED (%1$s), n2 AS MATERIALIZED (%2$s), n AS MATERIALIZED ('
        'SELECT * FROM n1 WHERE NOT %4$s '
        'UNION ALL SELECT * FROM n2 WHERE %4$s AND NOT %5$s '
        'UNION ALL SELECT * FROM (%3$s) AS a WHERE %4$s AND %5$s)',
        format(v_grouped, rowvec._nearest(
            p_definition, p_chunks, v_selected, p_vector, v_condition, p_candidates, false), ''),
        format(v_grouped, rowvec._nearest(
            p_definition, p_chunks, v_selected, p_vector, v_condition, p_candidates * c_more, false),
            format(' WHERE (SELECT pg_catalog.count(*) FROM n1) OPERATOR(pg_catalog.<) %s', p_k)),
        format(v_grouped, rowvec._nearest(
            p_definition, p_chunks, v_selected, p_vector, v_condition, NULL, true), ''),
        format('(SELECT pg_catalog.count(*) FROM n1) OPERATOR(pg_catalog.<) %s', p_k),
        format('(SELECT pg_catalog.count(*) FROM n2) OPERATOR(pg_catalog.<) %s', p_k));
END
$function$;
