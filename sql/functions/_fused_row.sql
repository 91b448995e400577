-- Called by _fused_statement alone: the subquery of the row that f names, with its distance.
--
-- document is what a reranker reads; with a destination table, the row's nearest chunk.
CREATE OR REPLACE FUNCTION rowvec._fused_row(
    p_definition rowvec.embedding,
    p_names text[],
    p_keys int[],
    p_selected text,
    p_vector text
)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_names text;
    v_fs text;
BEGIN
    SELECT string_agg(quote_ident(p_names[i]), ', ' ORDER BY o),
        string_agg('f.c' || i, ', ' ORDER BY o)
    INTO STRICT v_names, v_fs
    FROM unnest(p_keys) WITH ORDINALITY AS u(i, o);
    IF p_definition.destination = 'table' THEN
        RETURN format(
            $sql$
            SELECT r.*, m.*
            FROM (SELECT %1$s FROM %2$s WHERE (%3$s) OPERATOR(pg_catalog.=) (%4$s)) AS r
            LEFT JOIN LATERAL (
                SELECT %5$s AS distance, chunk AS document, pg_catalog.jsonb_build_object(
                    'ordinality', ordinality, 'chunk', chunk, 'start_char', start_char,
                    'end_char', end_char) AS chunk
                FROM %6$s
                WHERE (%3$s) OPERATOR(pg_catalog.=) (%4$s)
                ORDER BY distance
                LIMIT 1
            ) AS m ON true
            $sql$,
            p_selected, p_definition.source, v_names, v_fs,
            rowvec._distance(p_definition, p_vector), rowvec._derived(p_definition.id, 'chunks'));
    END IF;
    RETURN format(
        'SELECT %s, %s AS distance, (%s) AS document FROM %s '
        'WHERE (%s) OPERATOR(pg_catalog.=) (%s)',
        p_selected, rowvec._distance(p_definition, p_vector), rowvec._qualified(p_definition.input),
        p_definition.source, v_names, v_fs);
END
$function$;
