-- Tells the other syncs that this session would not keep an embedding filled any more.
SELECT pg_advisory_unlock_shared(hashtextextended('rowvec.sync.candidate:' || %(id)s::bigint, 0));
