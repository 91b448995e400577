-- The pass is over.
DELETE FROM rowvec.shard WHERE embedding_id = %(id)s;
