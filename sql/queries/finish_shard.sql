-- All rows of a shard have been written, set aside or found changed, unless it is another's by now.
UPDATE rowvec.shard SET done_at = now()
WHERE embedding_id = %(id)s AND number = %(number)s AND token = %(token)s;
