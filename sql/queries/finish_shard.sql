-- All rows of a shard have been written, set aside or found changed.
UPDATE rowvec.shard SET done_at = now()
WHERE embedding_id = %(id)s AND number = %(number)s;
