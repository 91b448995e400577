-- Takes a shard for this session; the lock dies with the connection.
SELECT pg_try_advisory_lock(hashtextextended(
    'rowvec.shard:' || %(id)s::bigint || ':' || %(number)s::int, 0
));
