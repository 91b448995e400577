-- Called by every member of rowvec_user: as search, but the rows as rows of their table.
--
-- The first argument gives the type: search_rows(NULL::reviews, 'a question').
CREATE OR REPLACE FUNCTION rowvec.search_rows(
    source anyelement,
    query text,
    k int DEFAULT 10,
    filter text DEFAULT NULL,
    filter_args jsonb DEFAULT NULL,
    embedding text DEFAULT NULL,
    options jsonb DEFAULT '{}',
    method text DEFAULT NULL,
    rerank text DEFAULT NULL
)
RETURNS TABLE ("row" anyelement, distance float8, rank int)
LANGUAGE plpgsql VOLATILE COST 100000 ROWS 10
AS $function$
DECLARE
    v_source pg_catalog.regclass;
    v_definition rowvec.embedding;
BEGIN
    SELECT CASE WHEN t.typrelid OPERATOR(pg_catalog.<>) 0 THEN t.typrelid END INTO STRICT v_source
    FROM pg_catalog.pg_type AS t
    WHERE t.oid OPERATOR(pg_catalog.=) pg_catalog.pg_typeof(source);
    IF v_source IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42809',
            MESSAGE = pg_catalog.format(
                '%s is not the row type of a table', pg_catalog.pg_typeof(source)),
            HINT = 'search_rows(NULL::reviews, ''a question'') searches the table reviews';
    END IF;
    v_definition := rowvec._definition(v_source, embedding);
    RETURN QUERY SELECT s."row", s.distance, s.rank FROM rowvec._search(
        v_definition, NULL, query, k, filter, filter_args,
        coalesce(options, '{}') OPERATOR(pg_catalog.||) pg_catalog.jsonb_strip_nulls(
            pg_catalog.jsonb_build_object('method', method, 'rerank', rerank)),
        NULL, source) AS s;
END
$function$;
