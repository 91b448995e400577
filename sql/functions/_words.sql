-- Called by text and hybrid search, and by the index on a source's words: the words of texts, with a weight each.
--
-- NULL where they are too many for a tsvector: that row is left out, and may be written as any other. Searches
-- and indexes name it, so it is everybody's.
CREATE OR REPLACE FUNCTION rowvec_inputs.words(config regconfig, weights text, VARIADIC texts text[])
RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_words tsvector := '';
BEGIN
    FOR i IN 1..cardinality(texts) LOOP
        v_words := v_words
            || setweight(to_tsvector(config, coalesce(texts[i], '')), substr(weights, i, 1)::"char");
    END LOOP;
    RETURN v_words;
EXCEPTION WHEN program_limit_exceeded THEN
    RETURN NULL;
END
$function$;
