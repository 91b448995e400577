-- Called by search, backfill, status and the jobs: the SQL condition of a row without its vector.
CREATE OR REPLACE FUNCTION rowvec._pending(p_embedding_id bigint)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- The partial index on pending rows has exactly this predicate, else it is not used.
    SELECT format(
        '(%s) AND %I IS DISTINCT FROM pg_catalog.hashtextextended((%s), 0)',
        coalesce(r.filter, 'true'), r.name || '_of', rowvec._hashed(r))
    FROM rowvec.embedding AS e CROSS JOIN LATERAL rowvec._as_read(e) AS r
    WHERE e.id = p_embedding_id
$function$;
