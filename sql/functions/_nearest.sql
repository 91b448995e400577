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
    c_distance CONSTANT text := rowvec._distance(p_definition, p_vector);
    v_order text := c_distance;
BEGIN
    IF p_exact THEN
        v_order := format('(%s) OPERATOR(pg_catalog.+) 0::float8', c_distance);
    ELSIF p_definition.index_storage = 'halfvec' THEN
        v_order := format('(%1$s::@extschema:vector@.halfvec(%2$s)) %3$s '
            '(%4$s::@extschema:vector@.halfvec(%2$s))',
            c_column, p_definition.dimensions, rowvec._operator(p_definition.metric), p_vector);
    ELSIF p_definition.index_storage = 'bit' THEN
        v_order := format('(@extschema:vector@.binary_quantize(%s)::bit(%s)) '
            'OPERATOR(@extschema:vector@.<~>) @extschema:vector@.binary_quantize(%s)',
            c_column, p_definition.dimensions, p_vector);
    END IF;
    RETURN format(
        'SELECT %s AS distance, %s FROM %s WHERE %s IS NOT NULL%s ORDER BY %s LIMIT %s',
        c_distance, p_columns, p_relation, c_column, ' AND ' || p_condition, v_order,
        coalesce(p_limit::text, 'ALL'));
END
$function$;
