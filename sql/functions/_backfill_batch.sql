-- Called by backfill alone: the next batch of a range of keys that was taken, in a transaction of its own.
--
-- `last` is the key behind which the next one begins; NULL where the range is done, or another has taken it.
CREATE OR REPLACE FUNCTION rowvec._backfill_batch(
    p_definition rowvec.embedding, p_number int, p_token bigint, p_after text, p_rows int, p_job bigint,
    OUT written bigint, OUT failed bigint, OUT last text
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_upto text[];
    v_batch record;
BEGIN
    written := 0;
    failed := 0;
    -- Held to the commit: what is read and computed here nobody else can take meanwhile.
    SELECT s.upper INTO v_upto
    FROM rowvec.shard AS s
    WHERE (s.embedding_id, s.number, s.token) = (p_definition.id, p_number, p_token) AND s.done_at IS NULL
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT * INTO STRICT v_batch FROM rowvec._backfill_read(p_definition, p_after, v_upto, p_rows);
    IF v_batch.keys IS NULL THEN
        UPDATE rowvec.shard AS s SET done_at = now()
        WHERE (s.embedding_id, s.number) = (p_definition.id, p_number);
        RETURN;
    END IF;
    SELECT w.written, w.failed INTO STRICT written, failed
    FROM rowvec._backfill_write(p_definition, v_batch.keys, v_batch.row_keys, v_batch.inputs, v_batch.hashes,
        v_batch.kept, v_batch.errors) AS w;
    last := v_batch.last;
    -- Until the next batch has ended.
    UPDATE rowvec.job AS j
    SET rows_done = j.rows_done + written + failed,
        heartbeat_at = clock_timestamp() + (
            SELECT e.value::text::int * interval '1 ms' FROM rowvec.setting AS e
            WHERE e.name = 'worker_deadline_ms')
    WHERE j.id = p_job;
END
$function$;
