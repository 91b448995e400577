-- Sets a row aside until its input changes; another failure of the same input counts up.
INSERT INTO rowvec.failure AS f (embedding_id, key, input_hash, sqlstate, message)
VALUES (%(id)s, %(key)s::jsonb, %(input_hash)s, %(sqlstate)s, %(message)s)
ON CONFLICT (embedding_id, key) DO UPDATE
SET input_hash = excluded.input_hash,
    sqlstate = excluded.sqlstate,
    message = excluded.message,
    attempts = CASE WHEN f.input_hash = excluded.input_hash THEN f.attempts + 1 ELSE 1 END,
    first_failed_at = CASE
        WHEN f.input_hash = excluded.input_hash THEN f.first_failed_at ELSE now()
    END,
    last_failed_at = now();
