-- Called by the functions that build a search: the subquery of the rows nearest to a vector.
--
-- It orders by exactly the expression that the index is on; distance is always the exact one. p_exact
-- goes past the index. p_vector is SQL: a parameter or a literal.
CREATE OR REPLACE FUNCTION rowvec._nearest(
    p_definition rowvec.embedding,
    p_relation regclass,
    p_columns text,
    p_vector text,
    p_condition text,
    p_limit int,
    p_exact boolean
)
RETURNS text
LANGUAGE sql STABLE
-- No setting: it is inlined into functions that have one, and under whose path a regclass is written
-- with its schema, so that the statement means one table anywhere.
AS $function$
    SELECT pg_catalog.format(
        'SELECT %1$s AS distance, %2$s FROM %3$s WHERE %4$s IS NOT NULL%5$s ORDER BY '
        OPERATOR(pg_catalog.||) CASE
            WHEN p_exact THEN '(%1$s) OPERATOR(pg_catalog.+) 0::pg_catalog.float8'
            WHEN p_definition.index_storage OPERATOR(pg_catalog.=) 'halfvec' THEN
                '(%4$s::@extschema:vector@.halfvec(%7$s)) %8$s '
                '(%9$s::@extschema:vector@.halfvec(%7$s))'
            WHEN p_definition.index_storage OPERATOR(pg_catalog.=) 'bit' THEN
                '(@extschema:vector@.binary_quantize(%4$s)::bit(%7$s)) '
                'OPERATOR(@extschema:vector@.<~>) @extschema:vector@.binary_quantize(%9$s)'
            ELSE '%1$s'
        END OPERATOR(pg_catalog.||) ' LIMIT %6$s',
        rowvec._distance(p_definition, p_vector),
        p_columns,
        p_relation,
        CASE WHEN p_definition.destination OPERATOR(pg_catalog.=) 'table' THEN 'embedding'
            ELSE pg_catalog.quote_ident(p_definition.name) END,
        ' AND ' OPERATOR(pg_catalog.||) p_condition,
        coalesce(p_limit::pg_catalog.text, 'ALL'),
        p_definition.dimensions,
        rowvec._operator(p_definition.metric),
        p_vector)
$function$;
