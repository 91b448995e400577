-- Called by the functions that build a search: pgvector's operator of a metric.
CREATE OR REPLACE FUNCTION rowvec._operator(p_metric text)
RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN format('OPERATOR(@extschema:vector@.%s)',
        CASE p_metric WHEN 'inner_product' THEN '<#>' WHEN 'l2' THEN '<->' ELSE '<=>' END);
END
$function$;
