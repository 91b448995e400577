-- Whether a sync may have rows of an embedding in hand. One that died shows no sign of life.
SELECT EXISTS (
    SELECT FROM rowvec.job AS j
    WHERE j.embedding_id = %(id)s AND j.kind = 'sync' AND j.ended_at IS NULL
      -- The clock may have been set back.
      AND abs(extract(epoch FROM clock_timestamp() - j.heartbeat_at)) < 15
);
