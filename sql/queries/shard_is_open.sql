-- Whether a shard that has just been locked is still to be done.
SELECT EXISTS (
    SELECT FROM rowvec.shard
    WHERE embedding_id = %(id)s AND number = %(number)s AND done_at IS NULL
);
