-- Called by _search alone: the text search configuration, so the language, of the words.
CREATE OR REPLACE FUNCTION rowvec._text_config(p_definition rowvec.embedding, p_options jsonb)
RETURNS regconfig
LANGUAGE plpgsql STABLE
-- No search_path of its own: a configuration's name means what it means to the caller.
AS $function$
BEGIN
    RETURN coalesce(
        (p_options OPERATOR(pg_catalog.->>) 'text_config')::pg_catalog.regconfig,
        p_definition.text_config::pg_catalog.regconfig,
        pg_catalog.get_current_ts_config());
END
$function$;
