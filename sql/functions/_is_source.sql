-- Called by whatever goes through all definitions: whether the table that one was declared for is there still.
--
-- A number is left of a table that was dropped. A dump carries it to where it may name any other object.
CREATE OR REPLACE FUNCTION rowvec._is_source(p_definition rowvec.embedding)
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT EXISTS (
        SELECT FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = p_definition.name || '_of'
            AND NOT a.attisdropped
        WHERE c.oid = p_definition.source AND c.relkind IN ('r', 'p'))
$function$;
