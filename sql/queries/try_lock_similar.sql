-- One session at a time stores the similar rows of an embedding.
SELECT pg_try_advisory_lock(hashtextextended('rowvec.similar:' || %(id)s::bigint, 0));
