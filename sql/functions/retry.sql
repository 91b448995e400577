-- Called by the owner of a table, and by `rowvec retry`: rows that were set aside are tried again by the next job.
CREATE OR REPLACE FUNCTION rowvec.retry(
    source regclass, embedding text DEFAULT NULL, sqlstate text DEFAULT NULL
)
RETURNS bigint
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
    WITH due AS (
        UPDATE rowvec.failure AS f
        SET next_attempt_at = pg_catalog.now()
        FROM rowvec._definition(retry.source, retry.embedding) AS d
        WHERE f.embedding_id = d.id AND (retry.sqlstate IS NULL OR f.sqlstate = retry.sqlstate)
        RETURNING f.key
    )
    SELECT count(*) FROM due
$function$;
