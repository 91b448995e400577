-- The shards of the running pass that are not done, and where the cutting of the last one ended.
SELECT number,
       lower,
       upper,
       token,
       done_at IS NOT NULL AS done,
       leased_until < clock_timestamp() AS expired
FROM rowvec.shard
WHERE embedding_id = %(id)s
  AND (done_at IS NULL OR number = (
      SELECT max(number) FROM rowvec.shard WHERE embedding_id = %(id)s
  ))
ORDER BY number;
