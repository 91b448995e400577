-- Called by backfill alone: tells that it works on an embedding, so that syncs leave it alone. Gives the job.
CREATE OR REPLACE FUNCTION rowvec._begin_backfill(p_embedding_id bigint)
RETURNS bigint
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
    -- No process writes its signs of life: each batch does, for as long as one may take.
    INSERT INTO rowvec.job (embedding_id, kind, host, pid, heartbeat_at)
    SELECT p_embedding_id, 'backfill', 'CALL', pg_backend_pid(),
        clock_timestamp() + value::text::int * interval '1 ms'
    FROM rowvec.setting
    WHERE name = 'worker_deadline_ms'
    RETURNING id
$function$;
