-- Called by _search alone: any of the words of a query, as a tsquery.
--
-- Any, not all: one text rarely has all words of a question, and ts_rank puts first the
-- texts that have more of them.
CREATE OR REPLACE FUNCTION rowvec._text_query(p_config regconfig, p_query text)
RETURNS tsquery
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT coalesce(string_agg(quote_literal(lexeme), ' | '), '')::tsquery
    FROM unnest(to_tsvector(p_config, p_query))
$function$;
