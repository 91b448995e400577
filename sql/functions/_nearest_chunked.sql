-- Called by _fused_statement alone: WITH queries that end in rowvec_n, the rows of the nearest chunks.
--
-- A text of many chunks may be all that is nearest: where the first candidates are of fewer than
-- p_k rows, twenty times as many are looked at, and where that is not enough all chunks are.
CREATE OR REPLACE FUNCTION rowvec._nearest_chunked(
    p_definition rowvec.embedding,
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
    c_chunks CONSTANT regclass := rowvec._derived(p_definition.id, 'chunks');
    -- Of p_candidates chunks, of more, and of all: each row once, by its nearest.
    c_limits CONSTANT int[] := ARRAY[p_candidates, p_candidates * c_more, NULL];
    v_grouped text[];
    -- Whether a step found rows enough.
    v_too_few CONSTANT text[] := ARRAY[
        format('(SELECT pg_catalog.count(*) FROM rowvec_n1) OPERATOR(pg_catalog.<) %s', p_k),
        format('(SELECT pg_catalog.count(*) FROM rowvec_n2) OPERATOR(pg_catalog.<) %s', p_k)];
    v_cs text;
    v_keys text;
    -- Hidden rows must not take the places of those that a policy shows.
    v_condition text := coalesce(
        p_condition, CASE WHEN row_security_active(p_definition.source::oid) THEN 'true' END);
BEGIN
    IF EXISTS (SELECT FROM rowvec._key_of_derived(c_chunks, p_definition.source) AS k WHERE k.name <> k.source_name) THEN
        RAISE EXCEPTION USING ERRCODE = '55000',
            MESSAGE = format('the key of %s was renamed, and that of its chunks was not yet', p_definition.source),
            HINT = '`rowvec migrate` does it, as does every job when it starts';
    END IF;
    -- The innermost FROM has the source alone: that is what the condition is about.
    SELECT string_agg('c' || i, ', ' ORDER BY o),
        string_agg(format('%I AS c%s', p_names[i], i), ', ' ORDER BY o),
        format('EXISTS (SELECT FROM %s WHERE %s AND ', p_definition.source,
            rowvec._key_condition(p_definition.source, '=',
                array_agg(format('%I.%I', c.relname, p_names[i]) ORDER BY o), quote_ident(s.relname)))
        || v_condition || ')'
    INTO STRICT v_cs, v_keys, v_condition
    FROM unnest(p_keys) WITH ORDINALITY AS u(i, o), pg_class AS s, pg_class AS c
    WHERE s.oid = p_definition.source AND c.oid = c_chunks
    GROUP BY s.relname;
    FOR step IN 1..3 LOOP
        v_grouped[step] := format(
            'SELECT %1$s, pg_catalog.min(distance) AS distance FROM (%2$s) AS s%3$s GROUP BY %1$s',
            v_cs,
            rowvec._nearest(p_definition, c_chunks, v_keys, p_vector, v_condition,
                c_limits[step], p_exact OR step = 3),
            CASE WHEN step = 2 THEN ' WHERE ' || v_too_few[1] END);
    END LOOP;
    IF p_exact THEN
        RETURN format('rowvec_n AS MATERIALIZED (%s)', v_grouped[3]);
    END IF;
    RETURN format(
        $sql$
        rowvec_n1 AS MATERIALIZED (%1$s),
        rowvec_n2 AS MATERIALIZED (%2$s),
        rowvec_n AS MATERIALIZED (
            SELECT * FROM rowvec_n1 WHERE NOT %4$s
            UNION ALL SELECT * FROM rowvec_n2 WHERE %4$s AND NOT %5$s
            UNION ALL SELECT * FROM (%3$s) AS a WHERE %4$s AND %5$s
        )
        $sql$,
        v_grouped[1], v_grouped[2], v_grouped[3], v_too_few[1], v_too_few[2]);
END
$function$;
