-- Called by _search alone: the statement that finds the nearest rows.
CREATE OR REPLACE FUNCTION rowvec._search_statement(
    p_definition rowvec.embedding,
    p_vector @extschema:vector@.vector,
    p_k int,
    p_condition text
)
RETURNS text
LANGUAGE plpgsql STABLE
-- With this path a regclass is written with its schema, so the statement means one table anywhere.
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_columns text;
BEGIN
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO v_columns
    FROM pg_attribute AS a
    WHERE a.attrelid = p_definition.source AND a.attnum > 0 AND NOT a.attisdropped
        AND NOT EXISTS (
            SELECT FROM rowvec.embedding AS e
            WHERE e.source = a.attrelid AND a.attname IN (e.name, e.name || '_of')
        );
    -- The innermost FROM has the source alone: the unqualified columns of the filters and of the key
    -- cannot be taken for ours. The outer ORDER BY is for scans that are only nearly in order.
    RETURN format(
        $sql$
        SELECT q.key, q.distance,
            (pg_catalog.row_number() OVER (ORDER BY q.distance))::pg_catalog.int4, q."row"
        FROM (
            SELECT %1$s AS key,
                (%2$I OPERATOR(@extschema:vector@.<=>) %3$L::@extschema:vector@.vector) AS distance,
                (SELECT pg_catalog.to_jsonb(r.*) FROM (SELECT %4$s) AS r) AS "row"
            FROM %5$s
            WHERE %2$I IS NOT NULL AND (%6$s) AND (%7$s)
            ORDER BY %2$I OPERATOR(@extschema:vector@.<=>) %3$L::@extschema:vector@.vector
            LIMIT %8$s
        ) AS q
        ORDER BY q.distance
        $sql$,
        rowvec._key_json(p_definition.source), p_definition.name, p_vector, v_columns,
        p_definition.source, coalesce(p_definition.filter, 'true'), p_condition, p_k);
END
$function$;
