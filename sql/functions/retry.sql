-- Called by the owner of a table, and by `rowvec retry`: rows that were set aside are tried again by the next job.
CREATE OR REPLACE FUNCTION rowvec.retry(
    source regclass, embedding text DEFAULT NULL, sqlstate text DEFAULT NULL
)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_due bigint;
BEGIN
    IF retry.sqlstate !~ '^[0-9A-Z]{5}$' THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('%L is not an SQLSTATE', retry.sqlstate),
            HINT = 'five digits or capital letters, as rowvec.failure says them: 54000';
    END IF;
    WITH due AS (
        UPDATE rowvec.failure AS f
        SET next_attempt_at = now()
        FROM rowvec._definition(retry.source, retry.embedding) AS d
        WHERE f.embedding_id = d.id AND (retry.sqlstate IS NULL OR f.sqlstate = retry.sqlstate)
        RETURNING f.key
    )
    SELECT count(*) INTO STRICT v_due FROM due;
    RETURN v_due;
END
$function$;
