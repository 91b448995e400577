-- Called by anybody with the role rowvec_user: the k rows that answer a query in words best.
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
-- VOLATILE because it sets the index's probes for its own statement. As the caller, whose rights
-- and row-level security hold.
LANGUAGE plpgsql VOLATILE COST 100000 ROWS 10
AS $function$
DECLARE
    v_definition CONSTANT rowvec.embedding := rowvec._definition(source, embedding);
BEGIN
    RETURN QUERY SELECT * FROM rowvec._search(
        v_definition, NULL, query, k, filter, filter_args,
        coalesce(options, '{}') || pg_catalog.jsonb_strip_nulls(
            pg_catalog.jsonb_build_object('method', method, 'rerank', rerank)),
        NULL, NULL::jsonb);
END
$function$;
