-- Called by search, backfill, status and the jobs: the SQL condition of a row without its vector.
--
-- So is a row that has a vector and no text, or a hash and no vector. One that the filter leaves out may keep the
-- vector of its text, and no other.
CREATE OR REPLACE FUNCTION rowvec._pending(p_embedding_id bigint)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- The partial index on pending rows has exactly this predicate, else it is not used.
    SELECT concat(
        '((' || r.filter || format(') OR %I IS NOT NULL', r.name || '_of'),
        CASE WHEN r.filter IS NOT NULL AND r.destination = 'column' THEN format(' OR %I IS NOT NULL', r.name) END,
        CASE WHEN r.filter IS NOT NULL THEN ') AND ' END,
        format('(%I IS DISTINCT FROM %s', r.name || '_of', rowvec._wanted_hash(r)),
        format(' AND %I IS DISTINCT FROM ', r.name || '_of') || rowvec._adopted_hash(r),
        CASE r.destination WHEN 'column' THEN
            format(' OR (%I IS NULL) IS DISTINCT FROM (%I IS NULL)', r.name, r.name || '_of') END,
        ')')
    FROM rowvec.embedding AS e CROSS JOIN LATERAL rowvec._as_read(e) AS r
    WHERE e.id = p_embedding_id
$function$;
