-- Tells the other syncs that this session would keep an embedding filled.
SELECT pg_try_advisory_lock_shared(hashtextextended('rowvec.sync.candidate:' || %(id)s::bigint, 0));
