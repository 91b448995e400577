-- Makes the session the holder of a shard; no row where it is done, or its holder is writing.
UPDATE rowvec.shard
SET token = token + 1, leased_until = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE (embedding_id, number) IN (
    SELECT embedding_id, number
    FROM rowvec.shard
    WHERE embedding_id = %(id)s AND number = %(number)s AND token = %(token)s AND done_at IS NULL
    FOR UPDATE SKIP LOCKED
)
RETURNING token;
