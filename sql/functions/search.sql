-- Called by anybody with the role rowvec_user: the k rows of a table nearest to a query in words.
CREATE OR REPLACE FUNCTION rowvec.search(
    source regclass,
    query text,
    k int DEFAULT 10,
    filter text DEFAULT NULL,
    filter_args jsonb DEFAULT NULL,
    embedding text DEFAULT NULL,
    options jsonb DEFAULT '{}'
)
RETURNS TABLE (key jsonb, distance float8, rank int, "row" jsonb)
-- VOLATILE because it sets the index's probes for its own statement. As the caller, whose rights and
-- row-level security hold.
LANGUAGE plpgsql VOLATILE COST 100000 ROWS 10
AS $function$
DECLARE
    v_definition CONSTANT rowvec.embedding := rowvec._definition(source, embedding);
BEGIN
    IF query IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'query must not be NULL';
    END IF;
    RETURN QUERY SELECT * FROM rowvec._search(
        v_definition, rowvec.embed_query(source, query, v_definition.name), k, filter, filter_args,
        coalesce(options, '{}'));
END
$function$;
