-- Called by search, backfill, status and the jobs: the SQL condition of a row whose vector is not there yet.
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
        '((' || e.filter || format(') OR %I IS NOT NULL', e.name || '_of'),
        CASE WHEN e.filter IS NOT NULL AND e.destination = 'column' THEN format(' OR %I IS NOT NULL', e.name) END,
        CASE WHEN e.filter IS NOT NULL THEN ') AND ' END,
        format('(%I IS DISTINCT FROM %s', e.name || '_of', rowvec._wanted_hash(e)),
        format(' AND %I IS DISTINCT FROM ', e.name || '_of') || rowvec._adopted_hash(e),
        CASE e.destination WHEN 'column' THEN
            format(' OR (%I IS NULL) IS DISTINCT FROM (%I IS NULL)', e.name, e.name || '_of') END,
        ')')
    FROM rowvec.embedding AS e
    WHERE e.id = p_embedding_id
$function$;
