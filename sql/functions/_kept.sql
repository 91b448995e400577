-- Called by backfill, verify and the jobs: the SQL condition of a pending row that keeps its adopted vector.
CREATE OR REPLACE FUNCTION rowvec._kept(p_embedding_id bigint)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- If no transaction wrote the row since the declaration, its text is the one that
    -- its vector was adopted for. Two thousand million transactions later the comparison would turn
    -- round, and a dump carries the number into another cluster: then nothing is kept any more.
    SELECT CASE
        WHEN adopted_before IS NULL
            OR pg_snapshot_xmax(pg_current_snapshot())::text::numeric - adopted_before::text::numeric
                NOT BETWEEN 0 AND 2000000000
            THEN 'false'
        ELSE format('(%1$I IS NULL AND %2$I IS NOT NULL AND pg_catalog.age(xmin) OPERATOR(pg_catalog.>) '
            'pg_catalog.age(%3$L::pg_catalog.xid))',
            name || '_of', name, adopted_before::xid::text)
    END
    FROM rowvec.embedding
    WHERE id = p_embedding_id
$function$;
