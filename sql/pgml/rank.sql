-- Called by the SQL of PostgresML's users: documents by how well each answers a query, best first.
CREATE OR REPLACE FUNCTION pgml.rank(
    transformer text, query text, documents text[], kwargs jsonb DEFAULT '{}'
)
-- corpus_id counts from 0; text is NULL unless return_documents is true.
RETURNS TABLE (corpus_id bigint, score double precision, text text)
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RETURN QUERY
    SELECT r.ordinality::bigint - 1, r.score::double precision, r.document
    FROM rowvec.rerank(
        transformer, query, documents,
        '{"return_documents": false}'::jsonb || coalesce(kwargs, '{}')) AS r;
END
$function$;
REVOKE ALL ON FUNCTION pgml.rank(text, text, text[], jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgml.rank(text, text, text[], jsonb) TO rowvec_user;
