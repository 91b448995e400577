-- Another may keep the embedding filled.
SELECT pg_advisory_unlock(hashtextextended('rowvec.sync:' || %(id)s::bigint, 0));
