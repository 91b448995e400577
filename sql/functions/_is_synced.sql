-- Called by backfills: whether a sync may have rows of an embedding in hand. One that died shows no sign of life.
CREATE OR REPLACE FUNCTION rowvec._is_synced(p_embedding_id bigint)
RETURNS boolean
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT EXISTS (
        SELECT FROM rowvec.job AS j
        WHERE j.embedding_id = p_embedding_id AND j.kind = 'sync' AND j.ended_at IS NULL
            -- The clock may have been set back.
            AND abs(extract(epoch FROM clock_timestamp() - j.heartbeat_at)) < 15
    )
$function$;
