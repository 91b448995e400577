-- Called by _fused_statement alone: the tsvector of a row, as SQL over the source's columns.
--
-- What set_text_search declared is what the index is on; in another language it is of no use.
CREATE OR REPLACE FUNCTION rowvec._text_document(p_definition rowvec.embedding, p_config regconfig)
RETURNS text
LANGUAGE sql STABLE
-- With this path a configuration that is not Postgres's own is written with its schema.
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT CASE
        WHEN p_definition.text_document IS NOT NULL
            AND p_definition.text_config::regconfig = p_config
            THEN rowvec._qualified(p_definition.text_document)
        ELSE format('rowvec_inputs.words(%L::pg_catalog.regconfig, ''D'', %s)', p_config,
            rowvec._qualified(p_definition.input))
    END
$function$;
