-- One worker at a time cuts or clears the shards of a pass; held to the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('rowvec.frontier:' || %(id)s::bigint, 0));
