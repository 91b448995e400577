-- Called by the functions that build a search: the distance of a row or chunk to a vector, as SQL.
CREATE OR REPLACE FUNCTION rowvec._distance(p_definition rowvec.embedding, p_vector text)
RETURNS text
LANGUAGE sql STABLE
-- No setting: it is inlined into functions that have one.
AS $function$
    SELECT pg_catalog.format('%s %s %s',
        CASE WHEN p_definition.destination OPERATOR(pg_catalog.=) 'table' THEN 'embedding'
            ELSE pg_catalog.quote_ident(p_definition.name) END,
        rowvec._operator(p_definition.metric),
        p_vector)
$function$;
