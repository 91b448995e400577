-- One session at a time builds indexes of an embedding.
SELECT pg_try_advisory_lock(hashtextextended('rowvec.index:' || %(id)s::bigint, 0));
