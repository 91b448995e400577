-- Called by the owner of a table from a psql session: `rowvec backfill` for those who have no shell.
--
-- CALL rowvec.backfill('reviews') fills what is pending, some rows a transaction. Stopped anywhere it
-- loses one batch; run again, or by several at once, it writes nothing twice.
CREATE OR REPLACE PROCEDURE rowvec.backfill(
    source regclass, embedding text DEFAULT NULL, commit_rows int DEFAULT 256
)
-- A procedure that commits can pin no search_path: its statements are built by functions that do.
LANGUAGE plpgsql
AS $procedure$
DECLARE
    v_definition rowvec.embedding;
    v_key pg_catalog.text;
    v_batch record;
    v_written bigint := 0;
    v_failed bigint := 0;
    v_done record;
    v_pass_changed bigint;
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
    COMMIT;

    -- One pass goes through the keys once; rows changed behind it are for the next. It ends with a
    -- pass that changed nothing.
    LOOP
        v_key := NULL;
        v_pass_changed := 0;
        LOOP
            SELECT * INTO STRICT v_batch
            FROM rowvec._backfill_read(v_definition, v_key, commit_rows);
            EXIT WHEN v_batch.keys IS NULL;
            SELECT * INTO STRICT v_done
            FROM rowvec._backfill_write(
                v_definition, v_batch.keys, v_batch.row_keys, v_batch.inputs, v_batch.hashes,
                v_batch.kept);
            COMMIT;
            v_written := v_written OPERATOR(pg_catalog.+) v_done.written;
            v_failed := v_failed OPERATOR(pg_catalog.+) v_done.failed;
            v_pass_changed := v_pass_changed OPERATOR(pg_catalog.+) v_done.written
                OPERATOR(pg_catalog.+) v_done.failed;
            v_key := v_batch.last;
            IF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) v_told
                OPERATOR(pg_catalog.>) interval '5 seconds'
            THEN
                RAISE NOTICE '% rows written, % failed so far', v_written, v_failed;
                v_told := pg_catalog.clock_timestamp();
            END IF;
        END LOOP;
        EXIT WHEN v_pass_changed OPERATOR(pg_catalog.=) 0;
    END LOOP;
    RAISE NOTICE '% rows written, % failed', v_written, v_failed;
    IF v_failed OPERATOR(pg_catalog.>) 0 THEN
        RAISE NOTICE USING MESSAGE = 'why, for each row: SELECT * FROM rowvec.failure';
    END IF;
END
$procedure$;
