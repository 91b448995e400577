-- One session at a time keeps an embedding filled; the lock dies with the connection.
SELECT pg_try_advisory_lock(hashtextextended('rowvec.sync:' || %(id)s::bigint, 0));
