-- Called by the SQL of PostgresML's users: a text cut by one of LangChain's splitters, in characters.
CREATE OR REPLACE FUNCTION pgml.chunk(splitter text, text text, kwargs jsonb DEFAULT '{}')
-- chunk_index counts from 1.
RETURNS TABLE (chunk_index bigint, chunk text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF chunk.text IS NOT NULL THEN
        RETURN QUERY
        SELECT c.*
        FROM unnest(
                rowvec._ask('split', splitter, ARRAY[chunk.text], kwargs)) AS answer,
            jsonb_to_record(answer::jsonb) AS c(chunk_index bigint, chunk text);
    END IF;
END
$function$;
REVOKE ALL ON FUNCTION pgml.chunk(text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgml.chunk(text, text, jsonb) TO rowvec_user;
