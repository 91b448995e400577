-- Called by whatever reads rows: a definition with input and filter as statements have them.
--
-- Every name in them is qualified, and they raise no error, whatever stands in a row.
CREATE OR REPLACE FUNCTION rowvec._as_read(p_definition rowvec.embedding)
RETURNS rowvec.embedding
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF p_definition.guarded IS NOT NULL THEN
        p_definition.input := p_definition.guarded ->> 'input';
        p_definition.filter := p_definition.guarded ->> 'filter';
    ELSE
        p_definition.input := rowvec._qualified(p_definition.input);
        p_definition.filter := rowvec._qualified(p_definition.filter);
    END IF;
    RETURN p_definition;
END
$function$;
