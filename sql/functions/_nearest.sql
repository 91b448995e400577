-- Called by the functions that build a search: the subquery of the rows nearest to a vector.
--
-- It orders by the very expression that the index is on; distance is always the exact one. p_exact
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
LANGUAGE plpgsql STABLE
-- With this path a regclass is written with its schema, so the statement means one table anywhere.
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    c_column CONSTANT text := CASE p_definition.destination
        WHEN 'table' THEN 'embedding' ELSE quote_ident(p_definition.name) END;
    c_operator CONSTANT text := format('OPERATOR(@extschema:vector@.%s)',
        CASE p_definition.metric
            WHEN 'inner_product' THEN '<#>' WHEN 'l2' THEN '<->' ELSE '<=>' END);
    c_distance CONSTANT text := format('%s %s %s', c_column, c_operator, p_vector);
BEGIN
    RETURN format(
        'SELECT %s AS distance, %s FROM %s WHERE %s IS NOT NULL%s ORDER BY %s LIMIT %s',
        c_distance, p_columns, p_relation, c_column, ' AND ' || p_condition,
        CASE
            WHEN p_exact THEN format('(%s) OPERATOR(pg_catalog.+) 0::float8', c_distance)
            WHEN p_definition.index_storage = 'halfvec' THEN
                format('(%1$s::@extschema:vector@.halfvec(%2$s)) %3$s '
                    '(%4$s::@extschema:vector@.halfvec(%2$s))',
                    c_column, p_definition.dimensions, c_operator, p_vector)
            WHEN p_definition.index_storage = 'bit' THEN
                format('(@extschema:vector@.binary_quantize(%1$s)::bit(%2$s)) '
                    'OPERATOR(@extschema:vector@.<~>) '
                    '@extschema:vector@.binary_quantize(%3$s)',
                    c_column, p_definition.dimensions, p_vector)
            ELSE c_distance
        END,
        coalesce(p_limit::text, 'ALL'));
END
$function$;
