-- Called by _row_hash alone: the SQL of the text that is hashed of a row, with p_front in front.
--
-- That is the input. Where it raises an error, that error with a front of its own, which no vector is ever of.
CREATE OR REPLACE FUNCTION rowvec._hashed(p_definition rowvec.embedding, p_front text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN p_definition.guarded IS NULL THEN
            format('%L::pg_catalog.text OPERATOR(pg_catalog.||) (%s)', p_front, p_definition.input)
        ELSE format('coalesce(%1$L::pg_catalog.text OPERATOR(pg_catalog.||) %2$s, '
            '%3$L::pg_catalog.text OPERATOR(pg_catalog.||) %4$s)',
            p_front, p_definition.guarded ->> 'input', 'error ' || p_front, p_definition.guarded ->> 'error')
    END
$function$;
