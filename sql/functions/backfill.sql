-- Called by the owner of a table from a psql session: `rowvec backfill` for those who have no shell.
--
-- CALL rowvec.backfill('reviews') fills what is pending, some rows a transaction. Stopped anywhere it
-- loses one batch. Several at once, of these and of `rowvec backfill`, share the work; a sync leaves it to them.
CREATE OR REPLACE PROCEDURE rowvec.backfill(
    source regclass, embedding text DEFAULT NULL, commit_rows int DEFAULT 256
)
-- A procedure that commits can pin no search_path: its statements are built by functions that do.
LANGUAGE plpgsql
AS $procedure$
DECLARE
    v_definition rowvec.embedding;
    v_job bigint;
    v_waits boolean := false;
    v_shard record;
    v_key pg_catalog.text;
    v_done record;
    v_written bigint := 0;
    v_failed bigint := 0;
    v_is_joined boolean;
    v_before bigint;
    v_last_pass bigint;
    v_told pg_catalog.timestamptz := pg_catalog.clock_timestamp();
BEGIN
    -- Refused here in any case, for the EXCEPTION clause if for nothing else. Clocks do not tell: the
    -- extended protocol begins a transaction at Parse.
    BEGIN
        COMMIT;
    EXCEPTION WHEN invalid_transaction_termination THEN
        IF SQLERRM OPERATOR(pg_catalog.=) rowvec._commit_error() THEN
            RAISE EXCEPTION USING ERRCODE = '25001',
                MESSAGE = 'rowvec.backfill commits as it goes and cannot run inside a transaction',
                HINT = 'CALL it by itself, in a session that commits each statement';
        END IF;
    END;
    IF commit_rows IS NULL OR commit_rows OPERATOR(pg_catalog.<) 1
        OR commit_rows OPERATOR(pg_catalog.>) 10000
    THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format(
            'commit_rows must be from 1 to 10000, not %s', coalesce(commit_rows::pg_catalog.text, 'NULL'));
    END IF;
    v_definition := rowvec._definition(source, embedding);
    IF v_definition.paused THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = pg_catalog.format(
            'the embedding "%s" of %s is paused', v_definition.name, source),
            HINT = pg_catalog.format('SELECT rowvec.resume_embedding(%L, %L)', source, v_definition.name);
    END IF;

    IF v_definition.destination OPERATOR(pg_catalog.=) 'table'
        OR v_definition.on_truncate OPERATOR(pg_catalog.=) 'mean'
    THEN
        RAISE EXCEPTION USING ERRCODE = '0A000',
            MESSAGE = 'this procedure embeds texts whole, and cuts none into chunks',
            HINT = pg_catalog.format('rowvec backfill %s, or rowvec sync',
                rowvec._shell_words(source, source::pg_catalog.text, v_definition.name));
    END IF;
    PERFORM rowvec._prepare_jobs(v_definition.id);
    v_definition := rowvec._definition(source, embedding);
    -- Without an index all rows are looked at; by one that is stale, not those that became pending with it.
    PERFORM rowvec._drop_pending_index(v_definition, rowvec._pending_stamp(v_definition.id));
    COMMIT;

    -- Syncs see this, and leave the embedding alone once they have written what they have in hand.
    v_job := rowvec._begin_backfill(v_definition.id);
    COMMIT;
    WHILE rowvec._is_synced(v_definition.id) LOOP
        IF NOT v_waits THEN
            RAISE NOTICE 'taking over from a sync, once it has written its batch in hand';
            v_waits := true;
        END IF;
        PERFORM pg_catalog.pg_sleep(0.1);
        COMMIT;
    END LOOP;

    -- One pass goes through the keys once; rows changed behind it are for the next. It shares the ranges of
    -- the pass with all backfills. Passes end with one that changed nothing, or no less than the one before,
    -- as where a trigger undoes the work; a pass that others began says nothing about itself.
    LOOP
        v_is_joined := EXISTS (
            SELECT FROM rowvec.shard AS s WHERE s.embedding_id OPERATOR(pg_catalog.=) v_definition.id);
        v_before := v_written OPERATOR(pg_catalog.+) v_failed;
        LOOP
            SELECT * INTO STRICT v_shard
            FROM rowvec._take_shard(v_definition.id, 8 OPERATOR(pg_catalog.*) commit_rows::bigint);
            COMMIT;
            EXIT WHEN v_shard.is_over;
            IF v_shard.number IS NULL THEN
                PERFORM pg_catalog.pg_sleep(0.2);
                CONTINUE;
            END IF;
            v_key := v_shard.lower;
            LOOP
                SELECT * INTO STRICT v_done
                FROM rowvec._backfill_batch(
                    v_definition, v_shard.number, v_shard.token, v_key, commit_rows, v_job);
                COMMIT;
                v_written := v_written OPERATOR(pg_catalog.+) v_done.written;
                v_failed := v_failed OPERATOR(pg_catalog.+) v_done.failed;
                v_key := v_done.last;
                EXIT WHEN v_key IS NULL;
                IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>)
                    (v_told OPERATOR(pg_catalog.+) interval '5 seconds')
                THEN
                    RAISE NOTICE '% rows written, % failed so far', v_written, v_failed;
                    v_told := pg_catalog.clock_timestamp();
                END IF;
            END LOOP;
        END LOOP;
        v_before := v_written OPERATOR(pg_catalog.+) v_failed OPERATOR(pg_catalog.-) v_before;
        EXIT WHEN NOT v_is_joined
            AND (v_before OPERATOR(pg_catalog.=) 0 OR v_before OPERATOR(pg_catalog.>=) v_last_pass);
        IF NOT v_is_joined THEN
            v_last_pass := v_before;
        END IF;
    END LOOP;
    UPDATE rowvec.job AS j
    SET ended_at = pg_catalog.now(), heartbeat_at = pg_catalog.now()
    WHERE j.id OPERATOR(pg_catalog.=) v_job;
    RAISE NOTICE '% rows written, % failed', v_written, v_failed;
    IF v_failed OPERATOR(pg_catalog.>) 0 THEN
        RAISE NOTICE USING MESSAGE = 'why, for each row: SELECT * FROM rowvec.failure';
    END IF;
END
$procedure$;
