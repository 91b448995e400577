-- Called by verify and the jobs: the SQL condition of a pending row that keeps the vector adopted on trust.
CREATE OR REPLACE FUNCTION rowvec._kept(p_embedding_id bigint)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- If no transaction wrote the row since the declaration, its text is the one that
    -- its vector was adopted for. That is known by transactions, so only in the cluster that counted them, until
    -- the comparison turns round after two thousand million, and only of tables that were there. What is not
    -- known to be kept is embedded.
    SELECT CASE
        WHEN adopted_cluster IS DISTINCT FROM (SELECT system_identifier FROM pg_control_system())
            OR pg_snapshot_xmax(pg_current_snapshot())::text::numeric - adopted_before::text::numeric
                NOT BETWEEN 0 AND 2000000000
            THEN 'false'
        ELSE format('(%1$I IS NULL AND %2$I IS NOT NULL AND (%3$s) IS NOT NULL '
            'AND pg_catalog.age(xmin) OPERATOR(pg_catalog.>) pg_catalog.age(%4$L::pg_catalog.xid) '
            'AND tableoid OPERATOR(pg_catalog.=) ANY (%5$L::pg_catalog.oid[]))',
            name || '_of', name, (rowvec._as_read(e)).input, adopted_before::xid::text, adopted_tables)
    END
    FROM rowvec.embedding AS e
    WHERE e.id = p_embedding_id
$function$;
