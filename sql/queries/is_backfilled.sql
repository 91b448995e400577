-- Whether a backfill works on an embedding.
SELECT EXISTS (
    SELECT FROM rowvec.job AS j
    WHERE j.embedding_id = %(id)s AND j.kind = 'backfill' AND j.ended_at IS NULL
      AND j.heartbeat_at > now() - interval '15 seconds'
);
