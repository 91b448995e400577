-- Called by every member of rowvec_user: the k rows that answer a query in words best.
CREATE OR REPLACE FUNCTION rowvec.search(
    source regclass,
    query text,
    k int DEFAULT 10,
    filter text DEFAULT NULL,
    filter_args jsonb DEFAULT NULL,
    embedding text DEFAULT NULL,
    options jsonb DEFAULT '{}',
    -- Also options, by these names.
    method text DEFAULT NULL,
    rerank text DEFAULT NULL
)
RETURNS TABLE (key jsonb, distance float8, rank int, "row" jsonb)
-- STABLE, without a setting and in SQL, it is inlined: what calls it calls _search, which is VOLATILE.
-- As the caller, whose rights and row-level security hold.
LANGUAGE sql STABLE COST 100000 ROWS 10
AS $function$
    SELECT * FROM rowvec._search(
        rowvec._definition($1, $6), NULL, $2, $3, $4, $5,
        CASE WHEN $8 IS NULL AND $9 IS NULL THEN coalesce($7, '{}')
            ELSE coalesce($7, '{}') OPERATOR(pg_catalog.||) pg_catalog.jsonb_strip_nulls(
                pg_catalog.jsonb_build_object('method', $8, 'rerank', $9)) END,
        NULL, NULL::pg_catalog.jsonb)
$function$;
