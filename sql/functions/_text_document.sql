-- Called by _search_statement and text_search: the tsvector of a row, as SQL over the source's columns.
--
-- The index on it, where there is one, has exactly this expression.
CREATE OR REPLACE FUNCTION rowvec._text_document(p_definition rowvec.embedding, p_config regconfig)
RETURNS text
LANGUAGE sql STABLE
-- With this path a configuration that is not Postgres's own is written with its schema.
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT coalesce(
        p_definition.text_document,
        format('to_tsvector(%L::regconfig, %s)', p_config, p_definition.input))
$function$;
