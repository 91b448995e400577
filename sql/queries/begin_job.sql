-- A job begins; what is known of the ones before it stays for a day.
WITH old AS (
    DELETE FROM rowvec.job
    WHERE embedding_id = %(id)s
      AND coalesce(ended_at, heartbeat_at) < now() - interval '1 day'
)
INSERT INTO rowvec.job (embedding_id, kind, host, pid)
VALUES (%(id)s, %(kind)s, %(host)s, %(pid)s)
RETURNING id;
