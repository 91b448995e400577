-- Called by _fused_statement alone: the subquery of the row that rowvec_f names, with its distance.
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
    v_is_key text;
BEGIN
    v_is_key := rowvec._key_condition(p_definition.source, '=', ARRAY(
        SELECT 'rowvec_f.c' || i FROM unnest(p_keys) WITH ORDINALITY AS u(i, o) ORDER BY o));
    IF p_definition.destination = 'table' THEN
        RETURN format(
            $sql$
            SELECT r.*, m.*
            FROM (SELECT %1$s FROM %2$s WHERE %3$s) AS r
            LEFT JOIN LATERAL (
                SELECT %4$s AS distance, chunk AS document, pg_catalog.jsonb_build_object(
                    'ordinality', ordinality, 'chunk', chunk, 'start_char', start_char,
                    'end_char', end_char) AS chunk
                FROM %5$s
                WHERE %3$s
                ORDER BY distance
                LIMIT 1
            ) AS m ON true
            $sql$,
            p_selected, p_definition.source, v_is_key,
            rowvec._distance(p_definition, p_vector), rowvec._derived(p_definition.id, 'chunks'));
    END IF;
    RETURN format(
        'SELECT %s, %s AS distance, (%s) AS document FROM %s WHERE %s',
        p_selected, rowvec._distance(p_definition, p_vector), rowvec._qualified(p_definition.input),
        p_definition.source, v_is_key);
END
$function$;
