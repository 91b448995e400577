-- Others may build indexes of the embedding again.
SELECT pg_advisory_unlock(hashtextextended('rowvec.index:' || %(id)s::bigint, 0));
