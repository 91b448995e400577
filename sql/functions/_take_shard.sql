-- Called by backfill alone: a range of keys that nobody works on, as `rowvec backfill` takes them, too.
--
-- Without a number where others work on all that is left; is_over where nothing is left, and the pass was
-- closed. Whoever takes a range raises its token. A CALL holds it by the lock on its row, from batch to batch;
-- a process by an advisory lock on its token, which dies with the process.
CREATE OR REPLACE FUNCTION rowvec._take_shard(
    p_embedding_id bigint, p_rows bigint,
    OUT number int, OUT lower text[], OUT upper text[], OUT token bigint, OUT is_over boolean
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_row rowvec.shard;
    v_context text;
BEGIN
    is_over := false;
    INSERT INTO rowvec.frontier AS f (embedding_id) VALUES (p_embedding_id)
    ON CONFLICT (embedding_id) DO UPDATE SET embedding_id = excluded.embedding_id;
    FOR v_row IN
        SELECT s.* FROM rowvec.shard AS s
        WHERE s.embedding_id = p_embedding_id AND s.done_at IS NULL
        ORDER BY s.number
        FOR UPDATE SKIP LOCKED
    LOOP
        IF v_row.leased_until < clock_timestamp() OR pg_try_advisory_xact_lock(hashtextextended(
            concat_ws(':', 'rowvec.shard', p_embedding_id, v_row.number, v_row.token), 0))
        THEN
            UPDATE rowvec.shard AS s SET token = s.token + 1
            WHERE (s.embedding_id, s.number) = (p_embedding_id, v_row.number)
            RETURNING s.number, s.lower, s.upper, s.token INTO STRICT number, lower, upper, token;
            RETURN;
        END IF;
    END LOOP;

    SELECT s.* INTO v_row FROM rowvec.shard AS s
    WHERE s.embedding_id = p_embedding_id
    ORDER BY s.number DESC LIMIT 1;
    IF v_row.number IS NULL OR v_row.upper IS NOT NULL THEN
        number := coalesce(v_row.number, 0) + 1;
        lower := v_row.upper;
        token := 1;
        EXECUTE format('SELECT a.row_key FROM rowvec_jobs.after_%s($1, NULL, $2) AS a', p_embedding_id)
        INTO upper
        USING lower, p_rows;
        PERFORM rowvec._refuse_other_path();
        INSERT INTO rowvec.shard (embedding_id, number, lower, upper, leased_until)
        VALUES (p_embedding_id, number, lower, upper, clock_timestamp());
    ELSIF NOT EXISTS (
        SELECT FROM rowvec.shard AS s WHERE s.embedding_id = p_embedding_id AND s.done_at IS NULL)
    THEN
        DELETE FROM rowvec.shard AS s WHERE s.embedding_id = p_embedding_id;
        is_over := true;
    END IF;
EXCEPTION WHEN undefined_column OR undefined_function OR undefined_object OR datatype_mismatch THEN
    GET STACKED DIAGNOSTICS v_context = PG_EXCEPTION_CONTEXT;
    PERFORM rowvec._refuse_gone(p_embedding_id, SQLSTATE, SQLERRM, v_context);
END
$function$;
