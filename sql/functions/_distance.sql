-- Called by the functions that build a search: a row's or chunk's distance to a vector, as SQL.
CREATE OR REPLACE FUNCTION rowvec._distance(p_definition rowvec.embedding, p_vector text)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN format('%s %s %s',
        CASE p_definition.destination WHEN 'table' THEN 'embedding'
            ELSE quote_ident(p_definition.name) END,
        rowvec._operator(p_definition.metric),
        p_vector);
END
$function$;
