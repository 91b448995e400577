-- Fences a write: no row where another holds the shard by now. Whether the lease had run out.
UPDATE rowvec.shard AS s
SET leased_until = clock_timestamp() + %(seconds)s * interval '1 second'
FROM (
    SELECT leased_until < clock_timestamp() AS late
    FROM rowvec.shard
    WHERE embedding_id = %(id)s AND number = %(number)s AND token = %(token)s
    FOR UPDATE
) AS held
WHERE s.embedding_id = %(id)s AND s.number = %(number)s
RETURNING held.late;
