-- Called by backfill and the jobs: sets a row aside, with the reason, until its input changes.
CREATE OR REPLACE FUNCTION rowvec._record_failure(
    p_embedding_id bigint, p_key jsonb, p_input_hash bigint, p_sqlstate text, p_message text,
    p_kind text DEFAULT 'model'
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- A text that is refused will be refused. What ended the engine or overran its time may pass:
    -- it is tried again after 1, 4, 16 and 64 minutes. So is what the database refuses, and every
    -- day from then on: another column, a constraint or a trigger may be other by then.
    c_may_pass CONSTANT boolean := p_kind = 'database' OR p_sqlstate ~ '^(08|53|57|58)';
    c_attempts CONSTANT int := 5;
    v_attempts int;
BEGIN
    INSERT INTO rowvec.failure AS f (embedding_id, key, input_hash, kind, sqlstate, message)
    VALUES (p_embedding_id, p_key, p_input_hash, p_kind, p_sqlstate, p_message)
    ON CONFLICT (embedding_id, key) DO UPDATE
    SET input_hash = excluded.input_hash,
        kind = excluded.kind,
        sqlstate = excluded.sqlstate,
        message = excluded.message,
        attempts = CASE WHEN f.input_hash = excluded.input_hash THEN f.attempts + 1 ELSE 1 END,
        first_failed_at = CASE
            WHEN f.input_hash = excluded.input_hash THEN f.first_failed_at ELSE now() END,
        last_failed_at = now()
    RETURNING f.attempts INTO STRICT v_attempts;
    UPDATE rowvec.failure AS f
    SET next_attempt_at = CASE
        WHEN NOT c_may_pass THEN NULL
        WHEN v_attempts < c_attempts THEN now() + 4 ^ (v_attempts - 1) * interval '1 minute'
        WHEN p_kind = 'database' THEN now() + interval '1 day' END
    WHERE f.embedding_id = p_embedding_id AND f.key = p_key;
END
$function$;
