-- Called by the functions that build a search: the rows nearest to a vector, k if there are k.
CREATE OR REPLACE FUNCTION rowvec._nearest_enough(
    p_definition rowvec.embedding,
    p_columns text,
    p_vector text,
    p_condition text,
    p_candidates int,
    p_k int,
    p_is_filtered boolean,
    p_is_exact boolean
)
RETURNS text
LANGUAGE sql STABLE
-- No setting: it is inlined into functions that have one.
AS $function$
    SELECT CASE
        WHEN p_is_exact OR NOT p_is_filtered OR p_definition.index_is_graph IS NOT TRUE THEN
            rowvec._nearest(p_definition, p_definition.source, p_columns, p_vector, p_condition,
                p_candidates, p_is_exact)
        ELSE
            -- A scan of a graph knows no row behind a broken link, and one of hnsw ends after
            -- hnsw.max_scan_tuples: where it found too few that pass the filter, all that pass it
            -- are compared. A scan of lists continues to the last.
            pg_catalog.format(
                'WITH rowvec_a AS MATERIALIZED (%1$s) '
                'SELECT * FROM rowvec_a WHERE %3$s OPERATOR(pg_catalog.>=) %4$s '
                'UNION ALL SELECT * FROM (%2$s) AS e WHERE %3$s OPERATOR(pg_catalog.<) %4$s',
                rowvec._nearest(p_definition, p_definition.source, p_columns, p_vector,
                    p_condition, p_candidates, false),
                rowvec._nearest(p_definition, p_definition.source, p_columns, p_vector,
                    p_condition, p_k, true),
                '(SELECT pg_catalog.count(*) FROM rowvec_a)',
                p_k)
    END
$function$;
