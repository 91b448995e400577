-- Called by every member of rowvec_user: every row at once, each with its k nearest others.
CREATE OR REPLACE FUNCTION rowvec.similar_pairs(
    source regclass,
    k int DEFAULT 10,
    filter text DEFAULT NULL,
    filter_args jsonb DEFAULT NULL,
    embedding text DEFAULT NULL,
    options jsonb DEFAULT '{}'
)
-- Rows and others are those that pass the filter.
RETURNS TABLE (key jsonb, other_key jsonb, distance float8, rank int)
-- As the caller, whose rights and row-level security hold.
LANGUAGE plpgsql VOLATILE COST 100000 ROWS 10000
AS $function$
BEGIN
    RETURN QUERY SELECT p.key, p.other_key, p.distance, p.rank FROM rowvec._similar_pairs(
        rowvec._definition(source, embedding), k, filter, filter_args, coalesce(options, '{}'),
        NULL) AS p;
END
$function$;
